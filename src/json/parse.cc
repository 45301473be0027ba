// SPDX-License-Identifier: Apache-2.0
// The reader: Boost.JSON's event parser underneath (it checks syntax, UTF-8, surrogates and depth); duplicate names,
// too many values and numbers beyond a double are refused here: Boost keeps the last duplicate and makes infinities silently.
#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <string>
#include <unordered_set>

#include "json/value.h"

namespace casemate::json {
namespace {

using boost::json::error_code;

enum class Refusal { kNone, kDuplicate, kValues, kNumber };

struct Handler {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  // A small object is searched; a larger one gets an index, so that hostile input costs no quadratic time.
  static constexpr std::size_t kIndexFrom = 16;

  struct Frame {
    Value container;
    std::string name;
    std::unordered_set<std::string> names;
  };

  std::vector<Frame> frames;
  Value root;
  std::string text;
  std::size_t values_left = 0;
  Refusal refusal = Refusal::kNone;
  std::string duplicate;

  bool refuse(Refusal why, error_code& ec) {
    refusal = why;
    ec = boost::json::error::exception;
    return false;
  }

  bool add(Value value, error_code& ec) {
    if (values_left == 0) return refuse(Refusal::kValues, ec);
    --values_left;
    if (frames.empty()) {
      root = std::move(value);
    } else if (Array* array = frames.back().container.if_array()) {
      array->push_back(std::move(value));
    } else {
      frames.back().container.object().append(std::move(frames.back().name), std::move(value));
    }
    return true;
  }

  bool open(Value container, error_code& ec) {
    if (values_left == 0) return refuse(Refusal::kValues, ec);
    frames.push_back({std::move(container), {}, {}});
    return true;
  }

  bool close(error_code& ec) {
    Value done = std::move(frames.back().container);
    frames.pop_back();
    return add(std::move(done), ec);
  }

  bool is_duplicate(Frame& frame, const std::string& name) {
    const Object& object = frame.container.object();
    if (object.size() < kIndexFrom) return object.find(name) != nullptr;
    if (frame.names.empty()) {
      for (const auto& member : object) frame.names.insert(member.first);
    }
    return !frame.names.insert(name).second;
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return open(Object{}, ec); }
  bool on_object_end(std::size_t, error_code& ec) { return close(ec); }
  bool on_array_begin(error_code& ec) { return open(Array{}, ec); }
  bool on_array_end(std::size_t, error_code& ec) { return close(ec); }
  bool on_key_part(boost::json::string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    return true;
  }
  bool on_key(boost::json::string_view part, std::size_t, error_code& ec) {
    text.append(part.data(), part.size());
    if (is_duplicate(frames.back(), text)) {
      duplicate = text;
      return refuse(Refusal::kDuplicate, ec);
    }
    frames.back().name = std::move(text);
    text.clear();
    return true;
  }
  bool on_string_part(boost::json::string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    return true;
  }
  bool on_string(boost::json::string_view part, std::size_t, error_code& ec) {
    text.append(part.data(), part.size());
    std::string whole = std::move(text);
    text.clear();
    return add(std::move(whole), ec);
  }
  bool on_number_part(boost::json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t value, boost::json::string_view, error_code& ec) { return add(value, ec); }
  bool on_uint64(std::uint64_t value, boost::json::string_view, error_code& ec) { return add(value, ec); }
  bool on_double(double value, boost::json::string_view, error_code& ec) {
    // Nothing that JSON can write stands for an infinity.
    return std::isfinite(value) ? add(value, ec) : refuse(Refusal::kNumber, ec);
  }
  bool on_bool(bool value, error_code& ec) { return add(value, ec); }
  bool on_null(error_code& ec) { return add(nullptr, ec); }
  bool on_comment_part(boost::json::string_view, error_code&) { return true; }
  bool on_comment(boost::json::string_view, error_code&) { return true; }
};

}  // namespace

Result<Value> parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.input_bytes) {
    return over_limit("json: {} bytes, at most {}", text.size(), limits.input_bytes);
  }
  boost::json::parse_options options;
  options.max_depth = limits.depth;
  boost::json::basic_parser<Handler> parser(options);
  parser.handler().values_left = limits.values;

  boost::json::error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  Handler& handler = parser.handler();
  if (handler.refusal == Refusal::kDuplicate) {
    return malformed("json: name \"{}\" occurs twice in one object", handler.duplicate.substr(0, 64));
  }
  if (handler.refusal == Refusal::kValues) return over_limit("json: more than {} values", limits.values);
  if (handler.refusal == Refusal::kNumber) return over_limit("json: offset {}: number beyond a double's, 1.8e308", used);
  if (ec == boost::json::error::too_deep) return over_limit("json: nested deeper than {}", limits.depth);
  if (ec) return malformed("json: offset {}: {}", used, ec.message());
  // write_some leaves white space after the value unread in some states.
  const std::size_t trailing = text.find_first_not_of(" \t\r\n", used);
  if (trailing != std::string_view::npos) return malformed("json: offset {}: text after the value", trailing);
  if (!parser.done()) return malformed("json: offset {}: incomplete", used);
  return std::move(handler.root);
}

}  // namespace casemate::json
