// SPDX-License-Identifier: Apache-2.0
// The vocabulary that the SDK's users see as well: bytes, Result, Secret, UniqueFd. It is installed beside the SDK's
// headers, so it includes the standard library only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace casemate {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// check_failed reports a bug of the caller and ends the process.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

// Each code tells the caller its next move.
enum class ErrorCode {
  kMalformed,    // reject the input
  kUnsupported,  // reject; the message says what is supported
  kLimit,        // reject; the message says the limit
  kUntrusted,    // deny and audit
  kDenied,       // deny
  kNotFound,     // the named thing does not exist
  kConflict,     // re-read, then decide
  kUnavailable,  // try again later
  kInternal,     // a bug or the operating system
};

std::string_view to_string(ErrorCode code);

// Error holds a code and one sentence: `path: what was found, want what`; lower case, no full stop, no secrets.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // in prefixes the step that failed: `step: message`.
  Error in(std::string_view step) && {
    message_.insert(0, ": ");
    message_.insert(0, step);
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  template <typename U>
    requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    require(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    require(ok());
    return std::get<0>(state_);
  }
  T value() && { return take(); }
  T take() {
    require(ok());
    return std::move(std::get<0>(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    require(!ok());
    return std::get<1>(state_);
  }
  Error error() && {
    require(!ok());
    return std::move(std::get<1>(state_));
  }

  // in prefixes a failing step; a value passes through.
  Result in(std::string_view step) && {
    if (ok()) return std::move(*this);
    return std::move(*this).error().in(step);
  }

 private:
  static void require(bool condition) {
    if (!condition) check_failed("a Result used as what it is not", __FILE__, __LINE__);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;

  Result() : state_(std::in_place_index<0>) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  void value() const { require(ok()); }
  void take() const { require(ok()); }

  const Error& error() const& {
    require(!ok());
    return std::get<1>(state_);
  }
  Error error() && {
    require(!ok());
    return std::move(std::get<1>(state_));
  }
  Result in(std::string_view step) && {
    if (ok()) return {};
    return std::move(*this).error().in(step);
  }

 private:
  static void require(bool condition) {
    if (!condition) check_failed("a Result used as what it is not", __FILE__, __LINE__);
  }

  std::variant<std::monostate, Error> state_;
};

// UniqueFd: one owner of a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// zeroize clears memory in a way that the optimizer keeps.
void zeroize(void* data, std::size_t size);

// equal_constant_time depends on the lengths only, never on the content.
bool equal_constant_time(ByteView a, ByteView b);

class Secret {
 public:
  Secret() = default;
  explicit Secret(Bytes&& bytes) : bytes_(std::move(bytes)) {}
  static Secret copy_of(ByteView bytes) { return Secret(Bytes(bytes.begin(), bytes.end())); }
  static Secret of_size(std::size_t size) { return Secret(Bytes(size)); }

  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { clear(); }

  // expose is the one way in; grep for it.
  ByteView expose() const { return bytes_; }
  std::span<std::uint8_t> expose_mutable() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // truncate keeps the first `size` bytes and zeroes the rest.
  void truncate(std::size_t size);
  Secret clone() const { return copy_of(bytes_); }
  void clear();

  friend bool operator==(const Secret& a, const Secret& b) { return equal_constant_time(a.bytes_, b.bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace casemate
