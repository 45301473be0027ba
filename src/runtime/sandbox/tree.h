// SPDX-License-Identifier: Apache-2.0
// Trees of files that an image brought: looking at them and removing them, without following anything in them.
#pragma once

#include <string>

#include "base/result.h"
#include "crypto/digest.h"

namespace casemate::runtime::sandbox {

struct TreeSummary {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of blocks
  // Over every entry's name, type, mode, owner, links, size, mtime, ctime, inode and link target. A content cannot change
  // without its ctime, which nobody can set but by the machine's clock.
  crypto::Sha256 digest{};
};

// Deeper trees are not looked at: each level holds a descriptor.
inline constexpr std::size_t kMaxTreeDepth = 200;

// summarize_tree walks everything under `root`, and `root` itself. Errors: kLimit (entries, depth), kDenied, kUntrusted
// (something mounted in it), kInternal.
Result<TreeSummary> summarize_tree(int root, std::uint64_t most_entries);

// remove_tree removes `name` in `folder` with all that is in it, as much of it as can be. True when nothing is left.
bool remove_tree(int folder, const std::string& name);

}  // namespace casemate::runtime::sandbox
