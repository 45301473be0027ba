// SPDX-License-Identifier: Apache-2.0
#include "oci/rootfs.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

namespace casemate::oci {

namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";  // aufs's own files: no part of the image
constexpr int kMaxSymlinks = 40;                         // as in the kernel

// A folder that a layer implies without declaring it gets the mode that the Docker engine gives it. The engine's time
// is when it unpacked; ours is the build tool's fixed one.
constexpr std::uint32_t kImpliedMode = 0600;
constexpr std::int64_t kImpliedTime = 1492533000;

Inode implied_folder() {
  Inode inode;
  inode.type = FileType::kDirectory;
  inode.mode = kImpliedMode;
  inode.mtime = kImpliedTime;
  return inode;
}

// printable makes an untrusted name fit for one line of an error.
std::string printable(std::string_view name) {
  constexpr std::size_t kShown = 200;
  std::string out = "\"";
  for (const char c : name.substr(0, kShown)) {
    if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() > kShown) out += fmt::format("... ({} bytes)", name.size());
  return out + "\"";
}

// split cuts a layer's path into components: `.` and doubled slashes vanish, `..` and absolute paths are refused.
Result<std::vector<std::string>> split(std::string_view path, const RootFsLimits& limits) {
  if (path.size() > 1 && path.front() == '/') return malformed("absolute path, want one relative to the root");
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (component.empty() || component == ".") continue;
    if (component == "..") return malformed("path with \"..\", want one below the root");
    if (component.size() > limits.name_bytes) return over_limit("name of {} bytes, limit {}", component.size(), limits.name_bytes);
    components.emplace_back(component);
  }
  return components;
}

}  // namespace

struct RootFs::Node {
  std::shared_ptr<Inode> inode;  // shared by the names of a hard-linked file
  std::uint32_t layer = 0;       // that declared this name last
  std::map<std::string, std::unique_ptr<Node>, std::less<>> children;

  bool is_directory() const { return inode->type == FileType::kDirectory; }
};

RootFs::RootFs(const RootFsLimits& limits) : limits_(limits), root_(std::make_unique<Node>()) {
  root_->inode = std::make_shared<Inode>(implied_folder());
}
RootFs::RootFs(RootFs&&) noexcept = default;
RootFs& RootFs::operator=(RootFs&&) noexcept = default;
RootFs::~RootFs() = default;

// resolve walks to the folder that the first `count` components name, following symbolic links inside the root and
// making what is missing after `missing`.
Result<RootFs::Node*> RootFs::resolve(const std::vector<std::string>& components, std::size_t count, const Inode& missing) {
  std::vector<std::string> todo(components.rend() - static_cast<std::ptrdiff_t>(count), components.rend());
  std::vector<Node*> trail{root_.get()};
  int symlinks = 0;
  std::size_t links_outstanding = 0;  // components of `todo` that came from a link: those are not made up when missing
  while (!todo.empty()) {
    const std::string name = std::move(todo.back());
    todo.pop_back();
    const bool from_link = links_outstanding > 0;
    if (links_outstanding > 0) --links_outstanding;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (trail.size() > 1) trail.pop_back();
      continue;
    }
    Node* const folder = trail.back();
    auto found = folder->children.find(name);
    if (found == folder->children.end()) {
      if (from_link) return malformed("parent is a symbolic link to nothing");
      auto made = std::make_unique<Node>();
      made->inode = std::make_shared<Inode>(missing);
      made->layer = layer_;
      if (++names_ > limits_.entries) return over_limit("more than {} files", limits_.entries);
      found = folder->children.emplace(name, std::move(made)).first;
    }
    Node* const next = found->second.get();
    if (next->is_directory()) {
      trail.push_back(next);
      continue;
    }
    if (next->inode->type != FileType::kSymlink) return malformed("parent {} is not a folder", printable(name));
    if (++symlinks > kMaxSymlinks) return malformed("more than {} symbolic links in the path", kMaxSymlinks);
    std::string_view target = next->inode->target;
    if (target.starts_with('/')) trail.resize(1);
    std::vector<std::string> parts;
    while (!target.empty()) {
      const std::size_t slash = std::min(target.find('/'), target.size());
      parts.emplace_back(target.substr(0, slash));
      target.remove_prefix(std::min(slash + 1, target.size()));
    }
    links_outstanding += parts.size();
    todo.insert(todo.end(), parts.rbegin(), parts.rend());
  }
  return trail.back();
}

Result<std::shared_ptr<Inode>> RootFs::hard_link_target(const std::string& link) {
  const auto components = TRY(split(link, limits_).in(fmt::format("hard link to {}", printable(link))));
  if (components.empty()) return malformed("hard link to the root");
  // A missing parent must not be made up on the way.
  Node* folder = root_.get();
  for (std::size_t i = 0; i + 1 < components.size(); ++i) {
    const auto found = folder->children.find(components[i]);
    if (found == folder->children.end()) return malformed("hard link to {}, which does not exist", printable(link));
    if (!found->second->is_directory()) {
      folder = TRY(resolve(components, components.size() - 1, implied_folder()).in(fmt::format("hard link to {}", printable(link))));
      break;
    }
    folder = found->second.get();
  }
  const auto found = folder->children.find(components.back());
  if (found == folder->children.end()) return malformed("hard link to {}, which does not exist", printable(link));
  if (found->second->is_directory()) return malformed("hard link to {}, which is a folder", printable(link));
  return found->second->inode;
}

// remove_lower drops from `node` every name that this layer has not declared itself.
void RootFs::remove_lower(Node& node) const {
  for (auto child = node.children.begin(); child != node.children.end();) {
    remove_lower(*child->second);
    if (child->second->layer < layer_ && child->second->children.empty()) {
      child = node.children.erase(child);
    } else {
      ++child;
    }
  }
}

Result<void> RootFs::white_out(Node& parent, std::string_view name) {
  if (name.empty() || name == "." || name == "..") return malformed("whiteout of nothing or of a parent");
  const auto found = parent.children.find(name);
  if (found == parent.children.end()) return {};  // deleted twice: harmless, and some engines write it
  remove_lower(*found->second);
  if (found->second->layer < layer_ && found->second->children.empty()) parent.children.erase(found);
  return {};
}

Result<void> RootFs::apply_entry(const TarEntry& entry) {
  if (++entries_ > limits_.entries) return over_limit("more than {} entries", limits_.entries);
  const auto components = TRY(split(entry.path, limits_));
  if (components.empty()) {
    if (entry.type != FileType::kDirectory) return malformed("the root is not a folder");
    return {};  // the root's own metadata is not exported
  }
  std::size_t length = components.size() - 1;
  for (const std::string& component : components) length += component.size();
  if (length > limits_.path_bytes) return over_limit("path of {} bytes, limit {}", length, limits_.path_bytes);

  Node* const parent = TRY(resolve(components, components.size() - 1, implied_folder()));
  const std::string& name = components.back();
  if (name.starts_with(kWhiteout)) {
    if (name == kOpaque) {
      remove_lower(*parent);
      return {};
    }
    if (name.starts_with(kWhiteoutMeta)) return {};
    return white_out(*parent, std::string_view(name).substr(kWhiteout.size()));
  }

  std::shared_ptr<Inode> inode;
  if (entry.type == FileType::kHardLink) {
    inode = TRY(hard_link_target(entry.link));
    // Unpacking sets owner, mode and time through whichever name comes last.
    inode->uid = entry.uid;
    inode->gid = entry.gid;
    if (inode->type != FileType::kSymlink) {
      inode->mode = entry.mode;
      inode->mtime = entry.mtime;
    }
  } else {
    inode = std::make_shared<Inode>();
    inode->type = entry.type;
    inode->mode = entry.type == FileType::kSymlink ? 0777 : entry.mode;  // Linux gives links no other mode
    inode->uid = entry.uid;
    inode->gid = entry.gid;
    inode->mtime = entry.mtime;
    inode->size = entry.size;
    inode->rdev_major = entry.rdev_major;
    inode->rdev_minor = entry.rdev_minor;
    if (entry.type == FileType::kSymlink) {
      if (entry.link.empty()) return malformed("symbolic link to nothing");
      if (entry.link.size() > limits_.path_bytes) return over_limit("symbolic link of {} bytes, limit {}", entry.link.size(), limits_.path_bytes);
      inode->target = entry.link;
    }
    inode->layer = layer_ - 1;
    inode->segments = entry.segments;
  }

  auto& slot = parent->children[name];
  if (!slot) {
    if (++names_ > limits_.entries) return over_limit("more than {} files", limits_.entries);
    slot = std::make_unique<Node>();
  } else if (!(slot->is_directory() && inode->type == FileType::kDirectory)) {
    slot->children.clear();
  }
  slot->inode = std::move(inode);
  slot->layer = layer_;
  return {};
}

Result<void> RootFs::apply(TarReader& layer) {
  ++layer_;
  for (;;) {
    const std::optional<TarEntry> entry = TRY(layer.next());
    if (!entry) return {};
    if (Result<void> applied = apply_entry(*entry); !applied) return std::move(applied).error().in(printable(entry->path));
  }
}

const Inode* RootFs::find(std::string_view path) const {
  const Node* node = root_.get();
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const auto found = node->children.find(path.substr(0, slash));
    if (found == node->children.end()) return nullptr;
    node = found->second.get();
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return node->inode.get();
}

void RootFs::remove_unless_directory(std::string_view path) {
  Node* node = root_.get();
  for (;;) {
    const std::size_t slash = path.find('/');
    const auto found = node->children.find(path.substr(0, slash));
    if (found == node->children.end()) return;
    if (slash == std::string_view::npos) {
      if (!found->second->is_directory()) node->children.erase(found);
      return;
    }
    node = found->second.get();
    path.remove_prefix(slash + 1);
  }
}

void RootFs::ensure(std::string_view path, const Inode& inode, const Inode& parent) {
  Node* node = root_.get();
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    auto& slot = node->children[std::string(path.substr(0, slash))];
    if (!slot) {
      slot = std::make_unique<Node>();
      slot->inode = std::make_shared<Inode>(slash == std::string_view::npos ? inode : parent);
      ++names_;
    }
    node = slot.get();
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
}

Result<void> RootFs::ensure_directory(std::string_view path, const Inode& folder) {
  while (path.starts_with('/')) path.remove_prefix(1);
  const auto components = TRY(split(path, limits_));
  TRY(resolve(components, components.size(), folder));
  return {};
}

struct RootFs::Walker {
  const std::function<Result<void>(const Visit&)>& visit;
  std::string path;
  std::unordered_map<const Inode*, std::string> first_names;

  Result<void> walk(const Node& folder) {
    const std::size_t length = path.size();
    for (const auto& [name, node] : folder.children) {
      if (length > 0) path.push_back('/');
      path += name;
      std::string_view earlier;
      if (!node->is_directory() && node->inode.use_count() > 1) {
        const auto [first, fresh] = first_names.try_emplace(node->inode.get(), path);
        if (!fresh) earlier = first->second;
      }
      TRY(visit({path, *node->inode, earlier}));
      TRY(walk(*node));
      path.resize(length);
    }
    return {};
  }
};

Result<void> RootFs::walk(const std::function<Result<void>(const Visit&)>& visit) const {
  Walker walker{visit, {}, {}};
  return walker.walk(*root_);
}

}  // namespace casemate::oci
