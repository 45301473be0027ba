// SPDX-License-Identifier: Apache-2.0
// Tags of keys.
#include <algorithm>

#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

constexpr std::size_t kMostTags = 50;

bool is_reserved(const std::string& name) {
  return iam::fold(name).starts_with("aws:");
}

Fault reserved_tag() {
  return fault(FaultKind::kTag, "Tags beginning with aws: are reserved");
}

}  // namespace

Outcome<Tags> read_tags(const Input& input) {
  Tags tags;
  const auto* items = input.structures("Tags");
  if (items == nullptr) return tags;
  if (items->size() > kMostTags) return fault(FaultKind::kTag, "Too many tags");
  for (const Input& item : *items) {
    const std::string name(item.text_or("TagKey", ""));
    if (is_reserved(name)) return reserved_tag();
    if (std::any_of(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == name; }))
      return fault(FaultKind::kTag, "Duplicate tag keys");
    tags.emplace_back(name, item.text_or("TagValue", ""));
  }
  return tags;
}

void add_request_tags(iam::RequestContext& context, const Tags& tags) {
  std::vector<std::string> names;
  for (const auto& [name, value] : tags) {
    context.set(fmt::format("aws:RequestTag/{}", name), value);
    names.push_back(name);
  }
  context.set_list("aws:TagKeys", std::move(names));
}

json::Array tags_to_json(const Tags& tags) {
  json::Array out;
  for (const auto& [name, value] : tags) out.emplace_back(json::Object{{"TagKey", name}, {"TagValue", value}});
  return out;
}

Outcome<Answer> tag_resource(Call& call) {
  const Tags tags = TRY(read_tags(call.input()));
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  add_request_tags(call.context(), tags);
  TRY(call.authorize("TagResource", located));
  TRY(call.require_state(StateRule::kAlter, *located.record));
  TRY(call.keyring().set_tags(*located.record, tags, kMostTags));
  return Answer{};
}

Outcome<Answer> untag_resource(Call& call) {
  const std::vector<std::string>& names = *call.input().texts("TagKeys");
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  call.context().set_list("aws:TagKeys", names);
  TRY(call.authorize("UntagResource", located));
  TRY(call.require_state(StateRule::kAlter, *located.record));
  if (std::any_of(names.begin(), names.end(), is_reserved)) return reserved_tag();
  TRY(call.keyring().remove_tags(*located.record, names));
  return Answer{};
}

Outcome<Answer> list_resource_tags(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("ListResourceTags", located));
  const PageRequest page = TRY(read_page(call, 50, 50));
  Tags tags;
  for (const auto& tag : located.record->tags) {
    if (tag.first > page.after && tags.size() <= page.limit) tags.push_back(tag);
  }
  const bool more = cut_page(tags, page);
  json::Object answer{{"Tags", tags_to_json(tags)}};
  end_page(answer, more, tags.empty() ? std::string_view{} : tags.back().first);
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
