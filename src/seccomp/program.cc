// SPDX-License-Identifier: Apache-2.0
#include "seccomp/program.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace casemate::seccomp {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;
constexpr std::optional<std::uint32_t> kForeignNumbersFrom = 0x40000000;  // __X32_SYSCALL_BIT
#elif defined(__aarch64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_AARCH64;
constexpr std::optional<std::uint32_t> kForeignNumbersFrom = std::nullopt;
#else
#error "casemate's sandbox knows x86-64 and arm64"
#endif

// Low halves of the 64-bit arguments: both architectures are little-endian.
constexpr std::uint32_t low_word(std::uint8_t index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8u * index);
}

class Assembler {
 public:
  void load(std::uint32_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }
  void keep_bits(std::uint32_t mask) { emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, mask); }
  void finish(Action action) { emit(BPF_RET | BPF_K, 0, 0, action.value); }

  // Jumps whose target is not known yet are filled in by land().
  std::size_t unless_equal(std::uint32_t value) { return emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, value); }
  std::size_t unless_at_least(std::uint32_t value) { return emit(BPF_JMP | BPF_JGE | BPF_K, 0, 0, value); }
  void skip_if_at_least(std::uint32_t value, std::uint8_t count) { emit(BPF_JMP | BPF_JGE | BPF_K, count, 0, value); }
  void land(std::size_t jump) { code_[jump].jf = distance(jump); }

  Program take() { return std::move(code_); }
  bool overflow() const { return overflow_ || code_.size() > BPF_MAXINSNS; }

 private:
  std::size_t emit(int code, std::uint8_t yes, std::uint8_t no, std::uint32_t value) {
    code_.push_back({static_cast<std::uint16_t>(code), yes, no, value});
    return code_.size() - 1;
  }
  std::uint8_t distance(std::size_t jump) {
    const std::size_t count = code_.size() - jump - 1;
    if (count > 255) overflow_ = true;
    return static_cast<std::uint8_t>(count);
  }

  Program code_;
  bool overflow_ = false;
};

void assemble_call(Assembler& out, std::uint32_t number, const std::vector<const Rule*>& rules, Action otherwise) {
  const std::size_t other_call = out.unless_equal(number);
  bool open = true;
  for (const Rule* rule : rules) {
    std::vector<std::size_t> misses;
    for (const ArgTest& test : rule->when) {
      out.load(low_word(test.index));
      if (test.mask != 0xffffffff) out.keep_bits(test.mask);
      misses.push_back(out.unless_equal(test.value));
    }
    out.finish(rule->then);
    for (const std::size_t miss : misses) out.land(miss);
    open = !misses.empty();
    if (!open) break;
  }
  if (open) out.finish(otherwise);
  out.land(other_call);
}

// Calls that are always allowed do not reach the filter (the kernel keeps a bitmap of them), so they come last, as runs
// of neighbouring numbers.
void assemble_allowed(Assembler& out, std::vector<std::uint32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  for (std::size_t first = 0; first < numbers.size();) {
    std::size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    const std::size_t below = out.unless_at_least(numbers[first]);
    out.skip_if_at_least(numbers[last] + 1, 1);
    out.finish(allow());
    out.land(below);
    first = last + 1;
  }
}

}  // namespace

Action allow() { return {SECCOMP_RET_ALLOW}; }
Action notify() { return {SECCOMP_RET_USER_NOTIF}; }
Action fail(int errno_number) {
  return {SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(errno_number) & SECCOMP_RET_DATA)};
}

int call_number(std::string_view call) {
  const int number = ::seccomp_syscall_resolve_name(std::string(call).c_str());
  return number >= 0 ? number : -1;
}

Result<Program> assemble(const std::vector<Rule>& rules, Action otherwise, Action foreign) {
  std::map<std::uint32_t, std::vector<const Rule*>> calls;
  for (const Rule& rule : rules) {
    const int number = ::seccomp_syscall_resolve_name(std::string(rule.call).c_str());
    if (number == __NR_SCMP_ERROR) return malformed("seccomp rule: {}: no such system call", rule.call);
    if (number >= 0) calls[static_cast<std::uint32_t>(number)].push_back(&rule);
  }

  Assembler out;
  out.load(offsetof(seccomp_data, arch));
  const std::size_t other_arch = out.unless_equal(kArch);
  out.load(offsetof(seccomp_data, nr));
  // The two kinds of foreign call need a return each: a jump reaches 255 instructions only.
  const std::size_t native = out.unless_at_least(kForeignNumbersFrom.value_or(0xffffffff));
  out.land(other_arch);
  out.finish(foreign);
  out.land(native);

  std::vector<std::uint32_t> allowed;
  for (const auto& [number, call_rules] : calls) {
    if (call_rules.front()->when.empty() && call_rules.front()->then == allow()) {
      allowed.push_back(number);
    } else {
      assemble_call(out, number, call_rules, otherwise);
    }
  }
  assemble_allowed(out, std::move(allowed));
  out.finish(otherwise);
  if (out.overflow()) return over_limit("seccomp filter: longer than {} instructions or a jump of 255", BPF_MAXINSNS);
  return out.take();
}

}  // namespace casemate::seccomp
