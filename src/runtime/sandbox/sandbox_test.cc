// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/test_guest.h"

namespace casemate::runtime::sandbox {
namespace {

using testing::HasSubstr;

TEST_F(SandboxTest, RunsTheApplicationAndShowsTheStepsOfItsStart) {
  auto guest = start(probe_image({"hello"}));
  ASSERT_THAT(guest, IsOk());
  const auto exit = wait(**guest);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->signalled);
  EXPECT_EQ(exit->status, 0);
  guest->reset();
  const std::string text = console();
  EXPECT_THAT(text, HasSubstr("heartbeat 0xb7"));
  EXPECT_THAT(text, HasSubstr("executing /probe"));
  EXPECT_THAT(text, HasSubstr("hello from the guest"));
}

TEST_F(SandboxTest, NsmBehavesAsItsDriver) { run({"nsm"}); }
TEST_F(SandboxTest, VsockBehavesAsLinux) { run({"vsock"}); }
TEST_F(SandboxTest, SignalsInterruptAndRestartCalls) { run({"signals"}); }
TEST_F(SandboxTest, TheGuestSeesAnEnclave) { run({"fidelity"}); }

}  // namespace
}  // namespace casemate::runtime::sandbox
