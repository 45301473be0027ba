// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK call by call against Linux: tests/conformance/kernel.txt is what Debian's kernel answered in a virtual machine
// (tests/conformance/vm_test.py asks it again), differences.txt what the sandbox answers otherwise, and why.
#include <map>

#include "runtime/sandbox/test_guest.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr char kFolder[] = CASEMATE_SOURCE_DIR "/tests/conformance";

// answers reads `name: answer` lines between `begin` and `end`, in order.
std::vector<std::pair<std::string, std::string>> answers(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  std::istringstream lines(text);
  std::string line;
  bool inside = false;
  while (std::getline(lines, line)) {
    if (line == "end") break;
    const auto colon = line.find(": ") != std::string::npos ? line.find(": ") : line.find(':');
    if (inside && colon != std::string::npos) out.emplace_back(line.substr(0, colon), line.substr(std::min(line.size(), colon + 2)));
    if (line == "begin") inside = true;
  }
  return out;
}

// differences reads `name | sandbox's answer | reason` lines.
std::map<std::string, std::string> differences() {
  std::map<std::string, std::string> out;
  std::istringstream lines(read_whole(std::string(kFolder) + "/differences.txt"));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.empty() || line.front() == '#') continue;
    const auto first = line.find(" | ");
    const auto second = line.find(" | ", first + 3);
    if (first == std::string::npos || second == std::string::npos || second + 3 >= line.size()) {
      ADD_FAILURE() << "differences.txt: " << line;
      continue;
    }
    out[line.substr(0, first)] = line.substr(first + 3, second - first - 3);
  }
  return out;
}

TEST_F(SandboxTest, VsockAnswersAsTheKernelDoesCallByCall) {
  TestImage image;
  image.files = {{"rootfs/conformance", cpio::kRegular | 0755, read_whole(CASEMATE_TEST_GUESTS "/vsock_conformance"), 0, 0}};
  image.command = {"/conformance"};
  auto guest = start(image);
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest, std::chrono::seconds(300));
  ASSERT_TRUE(exit.has_value());
  guest->reset();
  const std::string text = console();
  const auto kernel = answers(read_whole(std::string(kFolder) + "/kernel.txt"));
  const auto sandbox = answers(text);
  ASSERT_EQ(sandbox.size(), kernel.size()) << text;
  auto expected = differences();
  ASSERT_GT(kernel.size(), 150u);
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    ASSERT_EQ(sandbox[i].first, kernel[i].first);
    const auto difference = expected.find(kernel[i].first);
    EXPECT_EQ(sandbox[i].second, difference == expected.end() ? kernel[i].second : difference->second) << kernel[i].first;
    if (difference == expected.end()) continue;
    EXPECT_NE(difference->second, kernel[i].second) << kernel[i].first << ": listed as a difference, but there is none";
    expected.erase(difference);
  }
  for (const auto& [name, answer] : expected) ADD_FAILURE() << "differences.txt: " << name << ": no such call";
}

}  // namespace
}  // namespace casemate::runtime::sandbox
