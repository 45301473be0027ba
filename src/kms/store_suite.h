// SPDX-License-Identifier: Apache-2.0
// What every Store must do, as one parameterized suite that each implementation instantiates. Tests only.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <thread>

#include "base/test_matchers.h"
#include "kms/store.h"

namespace casemate::kms {

struct StoreMaker {
  std::string name;
  std::function<std::unique_ptr<Store>()> make;
};

class StoreSuite : public testing::TestWithParam<StoreMaker> {
 protected:
  StoreSuite() : store_(GetParam().make()) {}

  static Realm realm() { return {"111122223333", "us-east-1"}; }
  static Key key(std::string id) {
    Key key;
    key.realm = realm();
    key.id = std::move(id);
    key.description = "d\xc3\xa9scription";
    key.policy = "{}";
    key.created = WallTime{std::chrono::milliseconds{1'700'000'000'123}};
    return key;
  }
  static KeyName name(std::string id) { return {realm(), std::move(id)}; }
  static Material material(std::uint8_t fill, std::uint32_t version) {
    Material material;
    material.id.fill(fill);
    material.version = version;
    material.created = WallTime{std::chrono::milliseconds{5}};
    material.wrapped = Bytes(60, fill);
    return material;
  }
  static Alias alias(std::string name, std::string key_id) {
    return {std::move(name), std::move(key_id), WallTime{std::chrono::milliseconds{1}},
            WallTime{std::chrono::milliseconds{2}}};
  }
  Result<void> insert(const Key& key) {
    return store_->write([&](StoreWriter& writer) { return writer.insert_key(key); });
  }

  std::unique_ptr<Store> store_;
};

TEST_P(StoreSuite, ReturnsAKeyAsItWasPut) {
  Key full = key("a");
  full.state = KeyState::kPendingDeletion;
  full.spec = KeySpec::kEccNistP384;
  full.usage = KeyUsage::kKeyAgreement;
  full.origin = KeyOrigin::kExternal;
  full.multi_region = true;
  full.deletion_date = full.created + std::chrono::days{7};
  full.pending_window_days = 7;
  full.current_material = material(3, 1).id;
  ASSERT_THAT(insert(full), IsOk());
  ASSERT_THAT(insert(key("b")), IsOk());
  EXPECT_THAT(store_->reader()->find_key(name("a")), IsOkAnd(testing::Optional(full)));
  EXPECT_THAT(store_->reader()->find_key(name("b")), IsOkAnd(testing::Optional(key("b"))));
  EXPECT_THAT(store_->reader()->find_key(name("c")), IsOkAnd(testing::Eq(std::nullopt)));
  EXPECT_THAT(store_->reader()->find_key({{"111122223333", "eu-west-1"}, "a"}), IsOkAnd(testing::Eq(std::nullopt)));
}

TEST_P(StoreSuite, RefusesASecondKeyOfTheSameNameAndChangesOfNone) {
  ASSERT_THAT(insert(key("a")), IsOk());
  EXPECT_THAT(insert(key("a")), IsError(ErrorCode::kConflict));
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.update_key(key("b")); }), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.remove_key(name("b")); }), IsError(ErrorCode::kNotFound));
}

TEST_P(StoreSuite, UndoesAWholeChangeThatFails) {
  ASSERT_THAT(insert(key("a")), IsOk());
  const auto failed = store_->write([&](StoreWriter& writer) -> Result<void> {
    TRY(writer.insert_key(key("b")));
    Key changed = key("a");
    changed.policy = "changed";
    TRY(writer.update_key(changed));
    EXPECT_THAT(writer.find_key(name("a")), IsOkAnd(testing::Optional(changed)));
    EXPECT_THAT(writer.find_key(name("b")), IsOkAnd(testing::Ne(std::nullopt)));
    return denied("no");
  });
  EXPECT_THAT(failed, IsError(ErrorCode::kDenied, "no"));
  EXPECT_THAT(store_->reader()->find_key(name("a")), IsOkAnd(testing::Optional(key("a"))));
  EXPECT_THAT(store_->reader()->find_key(name("b")), IsOkAnd(testing::Eq(std::nullopt)));
}

TEST_P(StoreSuite, ListsKeysByNameInPages) {
  for (const char* id : {"c", "a", "d", "b"}) ASSERT_THAT(insert(key(id)), IsOk());
  EXPECT_THAT(store_->reader()->list_keys(realm(), "", 3), IsOkAnd(testing::ElementsAre("a", "b", "c")));
  EXPECT_THAT(store_->reader()->list_keys(realm(), "c", 3), IsOkAnd(testing::ElementsAre("d")));
  EXPECT_THAT(store_->reader()->list_keys(realm(), "d", 3), IsOkAnd(testing::IsEmpty()));
  EXPECT_THAT(store_->reader()->list_keys({"111122223333", "eu-west-1"}, "", 3), IsOkAnd(testing::IsEmpty()));
}

TEST_P(StoreSuite, KeepsMaterialsByVersionAndFindsTheirKey) {
  ASSERT_THAT(insert(key("a")), IsOk());
  const auto add = [&](const char* id, const Material& m) {
    return store_->write([&](StoreWriter& writer) { return writer.insert_material(name(id), m); });
  };
  ASSERT_THAT(add("a", material(2, 2)), IsOk());
  ASSERT_THAT(add("a", material(1, 1)), IsOk());
  EXPECT_THAT(add("a", material(1, 3)), IsError(ErrorCode::kConflict));
  EXPECT_THAT(add("a", material(4, 2)), IsError(ErrorCode::kConflict));
  EXPECT_THAT(add("none", material(5, 1)), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(store_->reader()->list_materials(name("a")),
              IsOkAnd(testing::ElementsAre(material(1, 1), material(2, 2))));
  EXPECT_THAT(store_->reader()->find_material_owner(realm(), material(2, 2).id),
              IsOkAnd(testing::Optional(std::string("a"))));
  EXPECT_THAT(store_->reader()->find_material_owner(realm(), material(9, 2).id), IsOkAnd(testing::Eq(std::nullopt)));
}

TEST_P(StoreSuite, KeepsAliasesOfKeysThatExist) {
  ASSERT_THAT(insert(key("a")), IsOk());
  ASSERT_THAT(insert(key("b")), IsOk());
  const auto write = [&](auto action) { return store_->write([&](StoreWriter& w) { return action(w); }); };
  for (const char* n : {"alias/2", "alias/1", "alias/3"}) {
    ASSERT_THAT(write([&](StoreWriter& w) { return w.insert_alias(realm(), alias(n, "a")); }), IsOk());
  }
  EXPECT_THAT(write([&](StoreWriter& w) { return w.insert_alias(realm(), alias("alias/1", "b")); }),
              IsError(ErrorCode::kConflict));
  EXPECT_THAT(write([&](StoreWriter& w) { return w.insert_alias(realm(), alias("alias/4", "none")); }),
              IsError(ErrorCode::kNotFound));
  EXPECT_THAT(write([&](StoreWriter& w) { return w.update_alias(realm(), alias("alias/1", "none")); }),
              IsError(ErrorCode::kNotFound));
  EXPECT_THAT(write([&](StoreWriter& w) { return w.update_alias(realm(), alias("alias/9", "a")); }),
              IsError(ErrorCode::kNotFound));
  ASSERT_THAT(write([&](StoreWriter& w) { return w.update_alias(realm(), alias("alias/2", "b")); }), IsOk());
  EXPECT_THAT(store_->reader()->find_alias(realm(), "alias/2"), IsOkAnd(testing::Optional(alias("alias/2", "b"))));
  EXPECT_THAT(store_->reader()->list_aliases(realm(), "", 2),
              IsOkAnd(testing::ElementsAre(alias("alias/1", "a"), alias("alias/2", "b"))));
  EXPECT_THAT(store_->reader()->list_aliases_of(name("a"), "alias/1", 5),
              IsOkAnd(testing::ElementsAre(alias("alias/3", "a"))));
  ASSERT_THAT(write([&](StoreWriter& w) { return w.remove_alias(realm(), "alias/2"); }), IsOk());
  EXPECT_THAT(write([&](StoreWriter& w) { return w.remove_alias(realm(), "alias/2"); }), IsError(ErrorCode::kNotFound));
}

TEST_P(StoreSuite, RemovesAKeyWithAllThatBelongsToIt) {
  ASSERT_THAT(insert(key("a")), IsOk());
  ASSERT_THAT(store_->write([&](StoreWriter& writer) -> Result<void> {
    TRY(writer.insert_material(name("a"), material(1, 1)));
    TRY(writer.insert_alias(realm(), alias("alias/1", "a")));
    return writer.set_tag(name("a"), "k", "v");
  }),
              IsOk());
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.remove_key(name("a")); }), IsOk());
  EXPECT_THAT(store_->reader()->find_material_owner(realm(), material(1, 1).id), IsOkAnd(testing::Eq(std::nullopt)));
  EXPECT_THAT(store_->reader()->find_alias(realm(), "alias/1"), IsOkAnd(testing::Eq(std::nullopt)));
  ASSERT_THAT(insert(key("a")), IsOk());
  EXPECT_THAT(store_->reader()->list_tags(name("a")), IsOkAnd(testing::IsEmpty()));
  EXPECT_THAT(store_->reader()->list_materials(name("a")), IsOkAnd(testing::IsEmpty()));
}

TEST_P(StoreSuite, KeepsTagsByName) {
  ASSERT_THAT(insert(key("a")), IsOk());
  const auto set = [&](const char* id, const char* tag, const char* value) {
    return store_->write([&](StoreWriter& w) { return w.set_tag(name(id), tag, value); });
  };
  ASSERT_THAT(set("a", "z", "1"), IsOk());
  ASSERT_THAT(set("a", "b", ""), IsOk());
  ASSERT_THAT(set("a", "z", "2"), IsOk());
  EXPECT_THAT(set("none", "z", "2"), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(store_->reader()->list_tags(name("a")),
              IsOkAnd(testing::ElementsAre(testing::Pair("b", ""), testing::Pair("z", "2"))));
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.remove_tag(name("a"), "b"); }), IsOk());
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.remove_tag(name("a"), "b"); }),
              IsError(ErrorCode::kNotFound));
}

TEST_P(StoreSuite, KeepsWhatRotationImportAndRegionsNeed) {
  Key full = key("mrk-1");
  full.multi_region = true;
  full.primary_region = "us-east-1";
  full.rotation_period_days = 90;
  full.next_rotation = WallTime{std::chrono::milliseconds{77}};
  full.on_demand_rotations = 3;
  ASSERT_THAT(insert(full), IsOk());
  Key replica = full;
  replica.realm.region = "eu-west-1";
  replica.next_rotation.reset();
  ASSERT_THAT(insert(replica), IsOk());
  EXPECT_THAT(store_->reader()->find_key(name("mrk-1")), IsOkAnd(testing::Optional(full)));
  EXPECT_THAT(store_->reader()->list_regions("111122223333", "mrk-1"),
              IsOkAnd(testing::ElementsAre("eu-west-1", "us-east-1")));
  EXPECT_THAT(store_->reader()->list_rotation_due(WallTime{std::chrono::milliseconds{77}}, 9),
              IsOkAnd(testing::ElementsAre(name("mrk-1"))));

  Material imported = material(1, 1);
  imported.rotation = RotationType::kOnDemand;
  imported.description = "d";
  imported.valid_to = WallTime{std::chrono::milliseconds{9}};
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.insert_material(name("mrk-1"), imported); }), IsOk());
  EXPECT_THAT(store_->reader()->list_materials(name("mrk-1")), IsOkAnd(testing::ElementsAre(imported)));
  EXPECT_THAT(store_->reader()->list_expired(WallTime{std::chrono::milliseconds{8}}, 9), IsOkAnd(testing::IsEmpty()));
  EXPECT_THAT(store_->reader()->list_expired(WallTime{std::chrono::milliseconds{9}}, 9),
              IsOkAnd(testing::ElementsAre(name("mrk-1"))));
  imported.wrapped.clear();
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.update_material(name("mrk-1"), imported); }), IsOk());
  EXPECT_THAT(store_->reader()->list_materials(name("mrk-1")), IsOkAnd(testing::ElementsAre(imported)));
  EXPECT_THAT(store_->reader()->list_expired(WallTime{std::chrono::milliseconds{9}}, 9), IsOkAnd(testing::IsEmpty()));
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.update_material(name("mrk-1"), material(2, 1)); }),
              IsError(ErrorCode::kNotFound));
}

TEST_P(StoreSuite, KeepsGrantsAndLastUses) {
  ASSERT_THAT(insert(key("a")), IsOk());
  Grant grant;
  grant.id = std::string(64, 'a');
  grant.name = "n";
  grant.grantee = "arn:aws:iam::111122223333:role/r";
  grant.retiring = "retiring";
  grant.issuing_account = "111122223333";
  grant.operations = {"Encrypt", "Decrypt"};
  grant.constraints.equals = iam::EncryptionContext{{"a", "b"}};
  grant.created = WallTime{std::chrono::milliseconds{4}};
  Grant plain = grant;
  plain.id = std::string(64, 'b');
  plain.retiring.clear();
  plain.constraints = {};
  for (const Grant& g : {plain, grant}) {
    ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.insert_grant(name("a"), g); }), IsOk());
  }
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.insert_grant(name("a"), grant); }),
              IsError(ErrorCode::kConflict));
  EXPECT_THAT(store_->reader()->list_grants(name("a")), IsOkAnd(testing::ElementsAre(grant, plain)));
  EXPECT_THAT(store_->reader()->find_grant(grant.id),
              IsOkAnd(testing::Optional(StoreReader::GrantOfKey{name("a"), grant})));
  EXPECT_THAT(store_->reader()->list_retirable("us-east-1", "retiring", "", 5),
              IsOkAnd(testing::ElementsAre(StoreReader::GrantOfKey{name("a"), grant})));
  EXPECT_THAT(store_->reader()->list_retirable("us-east-1", "", "", 5), IsOkAnd(testing::IsEmpty()));
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.remove_grant(plain.id); }), IsOk());
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.remove_grant(plain.id); }), IsError(ErrorCode::kNotFound));

  const LastUse use{"Encrypt", WallTime{std::chrono::milliseconds{8}}, "e", "r"};
  EXPECT_THAT(store_->reader()->find_last_use(name("a")), IsOkAnd(testing::Eq(std::nullopt)));
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.set_last_use(name("a"), {}); }), IsOk());
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.set_last_use(name("a"), use); }), IsOk());
  EXPECT_THAT(store_->reader()->find_last_use(name("a")), IsOkAnd(testing::Optional(use)));
  EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.set_last_use(name("none"), use); }),
              IsError(ErrorCode::kNotFound));
  ASSERT_THAT(store_->write([&](StoreWriter& w) { return w.remove_key(name("a")); }), IsOk());
  EXPECT_THAT(store_->reader()->find_grant(grant.id), IsOkAnd(testing::Eq(std::nullopt)));
}

TEST_P(StoreSuite, GivesEachOfSeveralWritersItsOwnVerdict) {
  ASSERT_THAT(insert(key("a")), IsOk());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string id = std::to_string(t) + "." + std::to_string(i);
        const auto written = store_->write([&](StoreWriter& w) -> Result<void> {
          TRY(w.insert_key(key(id)));
          if (i % 2 == 1) return denied("{}", id);
          return {};
        });
        if (i % 2 == 1) {
          EXPECT_THAT(written, IsError(ErrorCode::kDenied, id));
        } else {
          EXPECT_THAT(written, IsOk());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(store_->reader()->list_keys(realm(), "", 1000), IsOkAnd(testing::SizeIs(1 + 8 * 13)));
}

TEST_P(StoreSuite, ListsKeysThatAreDue) {
  const WallTime now{std::chrono::hours{100}};
  Key due = key("due");
  due.deletion_date = now;
  Key later = key("later");
  later.deletion_date = now + std::chrono::milliseconds{1};
  for (const Key& k : {key("never"), due, later}) ASSERT_THAT(insert(k), IsOk());
  EXPECT_THAT(store_->reader()->list_due(now, 10), IsOkAnd(testing::ElementsAre(name("due"))));
}

TEST_P(StoreSuite, TakesWritesAndReadsFromSeveralThreads) {
  ASSERT_THAT(insert(key("a")), IsOk());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string tag = std::to_string(t) + "." + std::to_string(i);
        EXPECT_THAT(store_->write([&](StoreWriter& w) { return w.set_tag(name("a"), tag, "v"); }), IsOk());
        EXPECT_THAT(store_->reader()->find_key(name("a")), IsOkAnd(testing::Ne(std::nullopt)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto tags = store_->reader()->list_tags(name("a"));
  ASSERT_THAT(tags, IsOk());
  EXPECT_EQ(tags->size(), 40U);
}

}  // namespace casemate::kms
