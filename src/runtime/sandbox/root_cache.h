// SPDX-License-Identifier: Apache-2.0
// Unpacked roots, kept for the next start of the same image. `<folder>/<key>/` holds `root/`, the tree, and `record`, what
// the tree must look like; `.new-<key>` is one being made. Whoever uses an entry holds a shared flock(2) on its folder as
// long as the enclave lives, whoever makes or removes one an exclusive one: the kernel drops it when a process is killed,
// and what a killed one left is then removed by the next. An entry is good for one boot of the machine, so nothing in it
// must be durable.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "runtime/sandbox/root_record.h"

namespace casemate::runtime::sandbox {

// CachedRoot is an unpacked root in use.
struct CachedRoot {
  UniqueFd lock;     // the entry's folder, flocked
  UniqueFd tree;     // the root's folder
  std::string path;  // of the tree
  std::uint64_t bytes = 0;
  ListFiles lists;
};

class RootCache {
 public:
  // Trees of more entries are unpacked at each start.
  static constexpr std::uint64_t kMostEntries = 500'000;

  // Fill unpacks the ramdisks into an empty folder and returns their lists.
  using Fill = std::function<Result<ListFiles>(int root)>;
  // Note takes what an operator should know.
  using Note = std::function<void(std::string_view text)>;

  RootCache(std::string folder, std::uint64_t most_bytes) : folder_(std::move(folder)), most_bytes_(most_bytes) {}

  // usable is false once give_up was called during this boot.
  bool usable() const;
  // give_up notes that roots cannot be used on this machine as it runs.
  void give_up() const;

  // find gives the entry if it is there and is what its record says; an entry that is not is removed. Nothing else fails.
  std::optional<CachedRoot> find(const RootKey& key, const Note& note) const;
  // make fills an entry of about `estimate` bytes, after removing the entries that were used the longest time ago and are
  // not in use, as far as the bound makes it necessary. Nothing where it does not fit, fill fails, or another process makes
  // the same entry.
  std::optional<CachedRoot> make(const RootKey& key, std::uint64_t estimate, const Fill& fill, const Note& note) const;

 private:
  struct Entry;
  std::optional<CachedRoot> open_entry(const RootKey& key, const std::string& name, const Note& note, bool& damaged) const;
  bool make_room(int folder, std::uint64_t wanted) const;
  void sweep(int folder) const;
  static bool discard(int folder, const std::string& name);

  std::string folder_;
  std::uint64_t most_bytes_;
};

}  // namespace casemate::runtime::sandbox
