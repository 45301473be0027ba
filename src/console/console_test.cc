// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "console/events.h"
#include "console/guard.h"
#include "console/service.h"
#include "crypto/rng.h"
#include "iam/policy.h"
#include "sigv4/canonical.h"
#include "sigv4/sigv4.h"

namespace casemate::console {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsNull;
using testing::Not;
using testing::NotNull;
using testing::Pointee;

constexpr std::string_view kAccount = "111122223333";
constexpr std::string_view kRegion = "us-east-1";
const WallTime kNow{std::chrono::seconds{1'800'000'000}};

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/console_test_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  os::Path write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    EXPECT_THAT(os::write_file(path_ / name, as_bytes(text), 0600), IsOk());
    return path_ / name;
  }
  const os::Path& path() const { return path_; }

 private:
  os::Path path_;
};

http::Request get(std::string_view target, std::initializer_list<http::Headers::Field> headers = {}) {
  http::Request request;
  request.method = "GET";
  request.target = target;
  request.peer = "127.0.0.1";
  request.secure = true;
  request.headers.add("Host", "localhost:4443");
  for (const auto& [name, value] : headers) request.headers.set(name, value);
  return request;
}

std::string header(const http::Response& response, std::string_view name) {
  const std::string* found = response.headers.find(name);
  return found == nullptr ? "" : *found;
}
json::Value at(const json::Value& value, std::string_view name) {
  const json::Value* found = value.find(name);
  return found == nullptr ? json::Value() : *found;
}
std::string text(const json::Value& value, std::string_view name) {
  const std::string* found = value.string_at(name);
  return found == nullptr ? "" : *found;
}
bool flag(const json::Value& value, std::string_view name) {
  const json::Value found = at(value, name);
  const bool* set = found.if_bool();
  return set != nullptr && *set;
}

// ---- Manifest and assets

TEST(Manifest, ReadsFilesInOrder) {
  const auto entries = parse_manifest(
      R"({"files":[{"path":"index.html","type":"text/html","immutable":false,"encodings":["br","gzip"]},
                   {"path":"assets/a-1.js","type":"text/javascript","immutable":true,"encodings":[]}]})");
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ(entries->front().path, "index.html");
  EXPECT_THAT(entries->front().encodings, ElementsAre("br", "gzip"));
  EXPECT_TRUE(entries->back().immutable);
}

TEST(Manifest, RefusesPathsThatLeaveTheFolder) {
  for (const char* path : {"", "/etc/passwd", "../x", "a/../x", "a//b", ".hidden", "a/.b", "a/", "a b", "a\\\\b", "a%2e"}) {
    const std::string text = fmt::format(
        R"({{"files":[{{"path":"{}","type":"t/x","immutable":false,"encodings":[]}}]}})", path);
    EXPECT_THAT(parse_manifest(text), IsError(ErrorCode::kMalformed, HasSubstr("files[0]: path"))) << path;
  }
}

TEST(Manifest, RefusesTooManyFilesRepetitionsAndOtherEncodings) {
  AssetLimits limits;
  limits.files = 1;
  const std::string one = R"({"path":"a","type":"t/x","immutable":false,"encodings":[]})";
  EXPECT_THAT(parse_manifest(R"({"files":[)" + one + "," + one + "]}", limits), IsError(ErrorCode::kLimit));
  EXPECT_THAT(parse_manifest(R"({"files":[)" + one + "," + one + "]}"), IsError(ErrorCode::kMalformed, HasSubstr("twice")));
  EXPECT_THAT(parse_manifest(R"({"files":[{"path":"a","type":"t/x","immutable":false,"encodings":["zstd"]}]})"),
              IsError(ErrorCode::kMalformed, HasSubstr("encodings")));
  EXPECT_THAT(parse_manifest("[]"), IsError(ErrorCode::kMalformed, HasSubstr("files")));
}

TEST(Encoding, TakesTheSmallestThatIsAccepted) {
  const std::vector<std::string> both{"br", "gzip"};
  EXPECT_EQ(choose_encoding("gzip, deflate, br, zstd", both), "br");
  EXPECT_EQ(choose_encoding("gzip;q=1.0, br;q=0", both), "gzip");
  EXPECT_EQ(choose_encoding("br;q=0.000, *", both), "gzip");
  EXPECT_EQ(choose_encoding("*", both), "br");
  EXPECT_EQ(choose_encoding("identity", both), "");
  EXPECT_EQ(choose_encoding("", both), "");
  EXPECT_EQ(choose_encoding("br", {}), "");
}

class AssetsTest : public testing::Test {
 protected:
  AssetsTest() {
    folder_.write("index.html", "<p>page</p>");
    folder_.write("assets/a-1.js", "let x = 1");
    folder_.write("assets/a-1.js.br", "compressed");
    folder_.write("manifest.json",
                  R"({"files":[{"path":"index.html","type":"text/html","immutable":false,"encodings":[]},
                      {"path":"assets/a-1.js","type":"text/javascript","immutable":true,"encodings":["br"]}]})");
  }
  Folder folder_;
};

TEST_F(AssetsTest, ServesIndexForTheEmptyPathAndAlwaysAsksAgain) {
  const Assets assets = Assets::load(folder_.path()).take();
  const auto response = assets.serve(get("/console/"), "");
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.body, "<p>page</p>");
  EXPECT_THAT(response.headers.find("cache-control"), Pointee(std::string("no-cache")));
}

TEST_F(AssetsTest, ServesHashedFilesCompressedForEver) {
  const Assets assets = Assets::load(folder_.path()).take();
  const auto response = assets.serve(get("/", {{"Accept-Encoding", "br"}}), "assets/a-1.js");
  EXPECT_EQ(response.body, "compressed");
  EXPECT_THAT(response.headers.find("content-encoding"), Pointee(std::string("br")));
  EXPECT_THAT(response.headers.find("cache-control"), Pointee(HasSubstr("immutable")));
}

TEST_F(AssetsTest, AnswersNotModifiedForAKnownEntityTag) {
  const Assets assets = Assets::load(folder_.path()).take();
  const std::string etag = header(assets.serve(get("/"), ""), "etag");
  const auto response = assets.serve(get("/", {{"If-None-Match", "\"x\", W/" + etag}}), "");
  EXPECT_EQ(response.status, 304U);
  EXPECT_TRUE(response.body.empty());
  EXPECT_EQ(assets.serve(get("/", {{"If-None-Match", "\"x\""}}), "").status, 200U);
}

TEST_F(AssetsTest, KnowsOnlyWhatTheManifestNames) {
  const Assets assets = Assets::load(folder_.path()).take();
  for (const char* path : {"manifest.json", "assets/a-1.js.br", "../index.html", "%2e%2e/x", "assets"})
    EXPECT_EQ(assets.serve(get("/"), path).status, 404U) << path;
  http::Request post = get("/");
  post.method = "POST";
  EXPECT_EQ(assets.serve(post, "").status, 405U);
  post.method = "HEAD";
  EXPECT_EQ(assets.serve(post, "").body, "");
}

TEST_F(AssetsTest, IsBoundedInAll) {
  AssetLimits limits;
  limits.total_bytes = 20;
  EXPECT_THAT(Assets::load(folder_.path(), limits), IsError(ErrorCode::kLimit));
  limits = {};
  limits.file_bytes = 5;
  EXPECT_THAT(Assets::load(folder_.path(), limits), IsError(ErrorCode::kLimit));
}

TEST(Assets, SaysThatThePageWasNotBuilt) {
  const Folder empty;
  EXPECT_THAT(Assets::load(empty.path()), IsError(ErrorCode::kNotFound));
}

// ---- Guard

TEST(Guard, TakesThePortOffAHost) {
  EXPECT_EQ(host_name("LocalHost:4443"), "localhost");
  EXPECT_EQ(host_name("[::1]:4443"), "[::1]");
  EXPECT_EQ(host_name("localhost"), "localhost");
  for (const char* bad : {"", "localhost:", "localhost:12x", "[::1", "localhost:1234567", "[::1]x"})
    EXPECT_EQ(host_name(bad), "") << bad;
}

TEST(Guard, KnowsItsOwnNamesOnly) {
  const std::vector<std::string> hosts{"localhost", "127.0.0.1"};
  EXPECT_TRUE(is_our_host(get("/"), hosts));
  EXPECT_FALSE(is_our_host(get("/", {{"Host", "evil.example:4443"}}), hosts));
  EXPECT_FALSE(is_our_host(get("/", {{"Host", "localhost.evil.example"}}), hosts));
  http::Request twice = get("/");
  twice.headers.add("Host", "localhost");
  EXPECT_FALSE(is_our_host(twice, hosts));
}

TEST(Guard, KnowsItsOwnPage) {
  EXPECT_TRUE(is_our_page(get("/")));
  EXPECT_TRUE(is_our_page(get("/", {{"Origin", "https://localhost:4443"}, {"Sec-Fetch-Site", "same-origin"}})));
  EXPECT_FALSE(is_our_page(get("/", {{"Origin", "https://localhost:9999"}})));
  EXPECT_FALSE(is_our_page(get("/", {{"Origin", "http://localhost:4443"}})));
  EXPECT_FALSE(is_our_page(get("/", {{"Origin", "null"}})));
  EXPECT_FALSE(is_our_page(get("/", {{"Sec-Fetch-Site", "same-site"}})));
}

TEST(Guard, ForbidsInlineAndFraming) {
  http::Response response;
  confine(response);
  const std::string policy = header(response, "content-security-policy");
  EXPECT_THAT(policy, AllOf(HasSubstr("default-src 'none'"), HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe"))));
  EXPECT_THAT(response.headers.find("access-control-allow-origin"), IsNull());
}

// ---- Links

TEST(Links, AreGivenOnce) {
  crypto::SystemRng rng;
  Links links;
  const std::string token = links.make("admin", kNow, rng);
  EXPECT_EQ(token.size(), 43U);
  EXPECT_EQ(token.find_first_of("+/="), std::string::npos);
  EXPECT_THAT(links.redeem(token, kNow), IsOkAnd(std::string("admin")));
  EXPECT_THAT(links.redeem(token, kNow), IsError(ErrorCode::kDenied));
}

TEST(Links, EndSoonAndAreFew) {
  crypto::SystemRng rng;
  Links links(LinkLimits{std::chrono::seconds{120}, 2});
  const std::string old = links.make("a", kNow, rng);
  EXPECT_THAT(links.redeem(old, kNow + std::chrono::seconds{120}), IsError(ErrorCode::kDenied));
  const std::string first = links.make("a", kNow, rng);
  const std::string second = links.make("b", kNow, rng);
  const std::string third = links.make("c", kNow, rng);
  EXPECT_THAT(links.redeem(first, kNow), IsError(ErrorCode::kDenied));
  EXPECT_THAT(links.redeem(second, kNow), IsOk());
  EXPECT_THAT(links.redeem(third, kNow), IsOk());
  EXPECT_THAT(links.redeem("", kNow), IsError(ErrorCode::kDenied));
}

// ---- Events

TEST(EventQuery, ReadsItsParameters) {
  const auto query = parse_event_query("before=7-10&limit=5&denied=true&text=my%20key");
  ASSERT_THAT(query, IsOk());
  EXPECT_EQ(query->before, (Place{7, 10}));
  EXPECT_EQ(query->limit, 5U);
  EXPECT_TRUE(query->denied_only);
  EXPECT_EQ(query->text, "my key");
}

TEST(EventQuery, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"before=x", "before=-1", "before=10", "before=1-1&after=1-2", "limit=", "denied=1", "x=1", "text=%zz"})
    EXPECT_THAT(parse_event_query(bad), IsError(ErrorCode::kMalformed)) << bad;
  for (const char* bad : {"limit=0", "limit=100000"}) EXPECT_THAT(parse_event_query(bad), IsError(ErrorCode::kLimit)) << bad;
  EXPECT_THAT(parse_event_query("text=" + std::string(201, 'a')), IsError(ErrorCode::kLimit));
}

std::string event_line(int number, bool denied = false) {
  return fmt::format(R"({{"eventName":"E{}","requestID":"r{}"{}}})", number, number,
                     denied ? R"(,"errorCode":"AccessDenied","additionalEventData":{"casemate":{"decision":{"decision":"ImplicitlyDenied","cause":"NoDocument"}}})"
                            : "") +
         "\n";
}

std::vector<std::string> names(const json::Value& page) {
  std::vector<std::string> out;
  const json::Value events = at(page, "events");
  for (const json::Value& event : events.array()) out.push_back(text(event, "name"));
  return out;
}

Place place(const json::Value& page, std::string_view name) {
  return parse_place(text(page, name)).take();
}

class EventsTest : public testing::Test {
 protected:
  EventsTest() {
    std::string text;
    for (int i = 0; i < 10; ++i) text += event_line(i, i % 5 == 0);
    size_ = text.size();
    log_ = folder_.write("audit.jsonl", text + R"({"eventName":"torn)");
  }
  Folder folder_;
  os::Path log_;
  std::size_t size_ = 0;
};

TEST_F(EventsTest, ComesNewestFirstAndGoesOnWhereItEnded) {
  EventQuery query;
  query.limit = 4;
  std::vector<std::string> all;
  for (int turn = 0; turn < 10; ++turn) {
    const json::Value page = read_events(log_, query).take();
    for (std::string& name : names(page)) all.push_back(std::move(name));
    if (flag(page, "end")) break;
    query.before = place(page, "next");
  }
  EXPECT_THAT(all, ElementsAre("E9", "E8", "E7", "E6", "E5", "E4", "E3", "E2", "E1", "E0"));
}

TEST_F(EventsTest, IsTheSameWhateverTheBoundOnBytes) {
  for (const std::size_t bytes : {60U, 100U, 150U, 333U, 1000U}) {
    EventLimits limits;
    limits.scanned_bytes = bytes;
    EventQuery query;
    std::vector<std::string> all;
    for (int turn = 0; turn < 200; ++turn) {
      const json::Value page = read_events(log_, query, limits).take();
      for (std::string& name : names(page)) all.push_back(std::move(name));
      if (flag(page, "end")) break;
      const Place next = place(page, "next");
      ASSERT_TRUE(!query.before || next < *query.before) << "no progress at " << to_text(next);
      query.before = next;
    }
    // Lines longer than the bound are passed over; the others all come.
    if (bytes >= 333U) {
      EXPECT_EQ(all.size(), 10U) << bytes;
    }
  }
}

TEST_F(EventsTest, FiltersDeniedAndText) {
  EventQuery query;
  query.denied_only = true;
  EXPECT_THAT(names(read_events(log_, query).take()), ElementsAre("E5", "E0"));
  query = {};
  query.text = "R7";
  EXPECT_THAT(names(read_events(log_, query).take()), ElementsAre("E7"));
}

TEST_F(EventsTest, FollowsForwardWithoutTornLines) {
  EventQuery query;
  query.after = Place{};
  query.limit = 8;
  json::Value page = read_events(log_, query).take();
  EXPECT_EQ(names(page).size(), 8U);
  EXPECT_FALSE(flag(page, "end"));
  query.after = place(page, "next");
  page = read_events(log_, query).take();
  EXPECT_THAT(names(page), ElementsAre("E8", "E9"));
  EXPECT_TRUE(flag(page, "end"));
  EXPECT_EQ(place(page, "next"), (Place{0, size_}));
}

TEST_F(EventsTest, GivesSingleEventsAtLineStartsOnly) {
  EXPECT_EQ(text(read_event(log_, {}).take(), "eventName"), "E0");
  const std::uint64_t second = event_line(0, true).size();
  EXPECT_EQ(text(read_event(log_, {0, second}).take(), "eventName"), "E1");
  EXPECT_THAT(read_event(log_, {0, second + 3}), IsError(ErrorCode::kNotFound));
  EXPECT_THAT(read_event(log_, {0, 1'000'000}), IsError(ErrorCode::kNotFound));
}

TEST(Events, OfFilesPutAsideComeToo) {
  Folder folder;
  const auto sealed = [](int first, int last) {
    std::string text;
    for (int i = first; i <= last; ++i)
      text += fmt::format(R"({{"eventName":"E{}","casemate":{{"sequence":{}}}}})", i, i) + "\n";
    return text;
  };
  folder.write("audit-000000000001.jsonl", sealed(1, 4));
  folder.write("audit-000000000005.jsonl", sealed(5, 6));
  const os::Path log = folder.write("audit.jsonl", sealed(7, 9));
  EventQuery query;
  query.limit = 3;
  std::vector<std::string> all;
  std::vector<std::string> ids;
  for (int turn = 0; turn < 20; ++turn) {
    const json::Value page = read_events(log, query).take();
    EXPECT_EQ(place(page, "newest"), (Place{7, sealed(7, 9).size()}));
    for (std::string& name : names(page)) all.push_back(std::move(name));
    const json::Value events = at(page, "events");
    for (const json::Value& event : events.array()) ids.push_back(text(event, "id"));
    if (flag(page, "end")) break;
    ASSERT_TRUE(!query.before || place(page, "next") < *query.before);
    query.before = place(page, "next");
  }
  EXPECT_THAT(all, ElementsAre("E9", "E8", "E7", "E6", "E5", "E4", "E3", "E2", "E1"));
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(text(read_event(log, parse_place(ids[i]).take()).take(), "eventName"), all[i]);

  // Who follows goes over from file to file, also when the current one is put aside meanwhile.
  query = {};
  query.after = Place{5, 0};
  json::Value page = read_events(log, query).take();
  EXPECT_THAT(names(page), ElementsAre("E5", "E6"));
  query.after = place(page, "next");
  page = read_events(log, query).take();
  EXPECT_THAT(names(page), ElementsAre("E7", "E8", "E9"));
  EXPECT_TRUE(flag(page, "end"));
  query.after = place(page, "next");
  std::filesystem::rename(log, folder.path() / "audit-000000000007.jsonl");
  page = read_events(log, query).take();
  EXPECT_TRUE(names(page).empty());
  query.after = place(page, "next");
  folder.write("audit.jsonl", sealed(10, 11));
  all.clear();
  for (int turn = 0; turn < 3; ++turn) {
    page = read_events(log, query).take();
    for (std::string& name : names(page)) all.push_back(std::move(name));
    query.after = place(page, "next");
  }
  EXPECT_THAT(all, ElementsAre("E10", "E11"));
  EXPECT_EQ(text(read_event(log, parse_place(ids[0]).take()).take(), "eventName"), "E9") << "places stay";

  // The oldest may be deleted.
  std::filesystem::remove(folder.path() / "audit-000000000001.jsonl");
  query = {};
  query.before = Place{1, 50};
  page = read_events(log, query).take();
  EXPECT_TRUE(names(page).empty());
  EXPECT_TRUE(flag(page, "end"));
  EXPECT_THAT(read_event(log, {1, 0}), IsError(ErrorCode::kNotFound));
}

TEST(Places, AreTwoNumbers) {
  EXPECT_EQ(parse_place("12-0").take(), (Place{12, 0}));
  for (const char* bad : {"", "-", "1", "1-", "-1", "1-2-3", "1-x", "+1-2", "1-18446744073709551616"})
    EXPECT_THAT(parse_place(bad), IsError(ErrorCode::kMalformed)) << bad;
}

TEST(Events, OfALogThatDoesNotExistAreNone) {
  const json::Value page = read_events("/nonexistent/audit.jsonl", {}).take();
  EXPECT_TRUE(names(page).empty());
  EXPECT_TRUE(flag(page, "end"));
}

// ---- Service

class Credentials final : public iam::CredentialSource {
 public:
  Credentials() {
    add("AKIDADMIN", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})");
    add("AKIDNOBODY", "");
    add("ASIACONSOLE", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})");
  }
  sigv4::Lookup<iam::CallerPtr> find(std::string_view id, std::optional<std::string_view>, WallTime) override {
    const auto it = callers_.find(std::string(id));
    if (it == callers_.end()) return {};
    return {sigv4::Found::kCredential, Secret::copy_of(as_bytes("secret")), it->second};
  }

 private:
  void add(const std::string& id, std::string_view policy) {
    auto caller = std::make_shared<iam::Caller>();
    caller->principal = iam::user(kAccount, "/", id, "AIDA" + id);
    caller->access_key_id = id;
    if (!policy.empty())
      caller->identity_policies = {{"policy", iam::parse_policy(policy, iam::PolicyType::kIdentity).take()}};
    callers_[id] = caller;
  }
  std::map<std::string, iam::CallerPtr> callers_;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    Options options;
    options.account = kAccount;
    options.region = kRegion;
    options.version = "1";
    options.hosts = {"localhost"};
    options.paths = {folder_.path(), folder_.path()};
    service_ = std::make_unique<Service>(
        Parts{credentials_, clock_, rng_, Log{},
              [](std::string_view user, WallTime now) -> Result<Session> {
                return Session{"ASIACONSOLE", Secret::copy_of(as_bytes("secret")), fmt::format("token of {}", user),
                               now + std::chrono::hours{8}};
              },
              [this](const json::Object& event) -> Result<void> {
                events_.emplace_back(event);
                return {};
              }},
        std::move(options), std::nullopt);
  }
  http::Response call(std::string_view method, std::string_view target, std::string_view body = {},
                      std::string_view who = "AKIDADMIN") {
    http::Request request = get(target);
    request.method = method;
    request.body = body;
    EXPECT_THAT(sigv4::sign(request, sigv4::Credentials::of(who, "secret"), kRegion, "casemate", clock_.now()), IsOk());
    return service_->handle(request);
  }
  static json::Value body_of(const http::Response& response) { return json::parse(response.body).take(); }

  Folder folder_;
  Credentials credentials_;
  FixedClock clock_{kNow};
  crypto::SystemRng rng_;
  std::vector<json::Value> events_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, OwnsItsPathsAndABareVisit) {
  EXPECT_TRUE(Service::owns(get("/console")));
  EXPECT_TRUE(Service::owns(get("/console/assets/x.js")));
  EXPECT_TRUE(Service::owns(get("/")));
  EXPECT_FALSE(Service::owns(get("/?Action=GetCallerIdentity")));
  EXPECT_FALSE(Service::owns(get("/", {{"Authorization", "AWS4-HMAC-SHA256 x"}})));
  EXPECT_FALSE(Service::owns(get("/consoles")));
  http::Request kms = get("/");
  kms.method = "POST";
  EXPECT_FALSE(Service::owns(kms));
}

TEST_F(ServiceTest, SaysThatThePageWasNotBuilt) {
  const auto response = service_->handle(get("/console/"));
  EXPECT_EQ(response.status, 503U);
  EXPECT_THAT(response.body, HasSubstr("not built"));
  EXPECT_THAT(response.headers.find("content-security-policy"), NotNull());
}

TEST_F(ServiceTest, RefusesOtherNames) {
  for (const char* target : {"/console/", "/console/api/config", "/console/api/events"})
    EXPECT_EQ(service_->handle(get(target, {{"Host", "rebound.example:4443"}})).status, 421U) << target;
}

TEST_F(ServiceTest, TellsTheRegionToAnyone) {
  const auto response = service_->handle(get("/console/api/config"));
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(text(body_of(response), "region"), kRegion);
}

TEST_F(ServiceTest, RefusesUnsignedRequests) {
  for (const char* target : {"/console/api/enclaves", "/console/api/events", "/console/api/image?path=/etc/passwd"})
    EXPECT_GE(service_->handle(get(target)).status, 400U) << target;
}

TEST_F(ServiceTest, RefusesSignaturesForOtherServices) {
  http::Request request = get("/console/api/events");
  ASSERT_THAT(sigv4::sign(request, sigv4::Credentials::of("AKIDADMIN", "secret"), kRegion, "kms", clock_.now()), IsOk());
  EXPECT_EQ(service_->handle(request).status, 400U);
}

TEST_F(ServiceTest, AsksThePolicyEngineAndRecordsRefusals) {
  const auto response = call("GET", "/console/api/events", {}, "AKIDNOBODY");
  EXPECT_EQ(response.status, 403U);
  EXPECT_THAT(response.body, HasSubstr("not authorized to perform: cloudtrail:LookupEvents"));
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(text(events_[0], "errorCode"), "AccessDenied");
  EXPECT_EQ(call("GET", "/console/api/events").status, 200U);
  EXPECT_EQ(events_.size(), 1U);
}

TEST_F(ServiceTest, ExchangesALinkOnceForASession) {
  const auto made = call("POST", "/console/api/links", "{}");
  ASSERT_EQ(made.status, 200U);
  const std::string token = text(body_of(made), "token");
  http::Request exchange = get("/console/api/session", {{"Content-Type", "application/json"}});
  exchange.method = "POST";
  exchange.body = json::encode(json::Object{{"token", token}});
  const auto given = service_->handle(exchange);
  ASSERT_EQ(given.status, 200U);
  EXPECT_EQ(text(body_of(given), "accessKeyId"), "ASIACONSOLE");
  EXPECT_EQ(text(body_of(given), "sessionToken"), "token of AKIDADMIN");
  EXPECT_THAT(given.headers.find("cache-control"), Pointee(std::string("no-store")));
  EXPECT_THAT(given.headers.find("set-cookie"), IsNull());
  EXPECT_EQ(service_->handle(exchange).status, 403U);
  EXPECT_EQ(text(events_.back(), "eventName"), "ConsoleLogin");
}

TEST_F(ServiceTest, ExchangesNothingForAnotherPage) {
  const std::string token = text(body_of(call("POST", "/console/api/links", "{}")), "token");
  http::Request exchange = get("/console/api/session", {{"Content-Type", "application/json"}, {"Origin", "https://evil.example"}});
  exchange.method = "POST";
  exchange.body = json::encode(json::Object{{"token", token}});
  EXPECT_EQ(service_->handle(exchange).status, 403U);
  exchange.headers.set("Origin", "https://localhost:4443");
  exchange.headers.set("Content-Type", "text/plain");
  EXPECT_EQ(service_->handle(exchange).status, 415U);
  exchange.headers.set("Content-Type", "application/json");
  EXPECT_EQ(service_->handle(exchange).status, 200U);
}

TEST_F(ServiceTest, MakesLinksOnlyForThoseWhoMay) {
  EXPECT_EQ(call("POST", "/console/api/links", "{}", "AKIDNOBODY").status, 403U);
}

TEST_F(ServiceTest, LintsAndWarnsOfLockOut) {
  const auto lint = [&](std::string_view policy) {
    const json::Object body{{"policy", policy}, {"keyArn", "arn:aws:kms:us-east-1:111122223333:key/1"}};
    return body_of(call("POST", "/console/api/lint", json::encode(body)));
  };
  const json::Value broken = lint("{");
  EXPECT_NE(at(broken, "defect").if_object(), nullptr);
  const json::Value root = lint(iam::default_key_policy(kAccount));
  EXPECT_TRUE(at(root, "defect").is_null());
  EXPECT_FALSE(flag(root, "locksOut"));
  const json::Value other = lint(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"},"Action":"kms:*","Resource":"*"}]})");
  EXPECT_TRUE(flag(other, "locksOut"));
}

TEST_F(ServiceTest, SimulatesWithTheSameEngine) {
  const auto response = call("POST", "/console/api/simulate",
                             R"({"request":{"principal":"arn:aws:iam::111122223333:user/x","action":"kms:Decrypt","resource":"arn:aws:kms:us-east-1:111122223333:key/1"}})");
  ASSERT_EQ(response.status, 200U);
  EXPECT_EQ(text(body_of(response), "decision"), "ImplicitlyDenied");
}

TEST_F(ServiceTest, InspectsDocuments) {
  EXPECT_EQ(call("POST", "/console/api/document", R"({"document":"!"})").status, 400U);
  const auto response = call("POST", "/console/api/document", R"({"document":"8444a1013822a040f6"})");
  ASSERT_EQ(response.status, 200U);
  EXPECT_FALSE(flag(at(body_of(response), "report"), "verified"));
  EXPECT_TRUE(at(body_of(response), "document").is_null());
}

TEST_F(ServiceTest, MeasuresOnlyImagesAtAbsolutePaths) {
  const os::Path text = folder_.write("x.eif", "no image");
  EXPECT_EQ(call("GET", "/console/api/image?path=" + sigv4::uri_encode(text.native())).status, 400U);
  EXPECT_EQ(call("GET", "/console/api/image?path=x.eif").status, 400U);
  EXPECT_EQ(call("GET", "/console/api/image").status, 400U);
}

TEST_F(ServiceTest, ListsNoEnclavesWhereNoneRun) {
  const auto response = call("GET", "/console/api/enclaves");
  ASSERT_EQ(response.status, 200U);
  EXPECT_TRUE(at(body_of(response), "enclaves").array().empty());
  EXPECT_EQ(call("GET", "/console/api/enclaves/i-1-enc1/console?from=0").status, 404U);
  EXPECT_EQ(call("GET", "/console/api/enclaves/..%2F..%2Fx/console?from=0").status, 400U);
}

TEST_F(ServiceTest, KnowsNoOtherOperation) {
  EXPECT_EQ(call("GET", "/console/api/").status, 404U);
  EXPECT_EQ(call("DELETE", "/console/api/events").status, 404U);
  EXPECT_EQ(call("POST", "/console/api/events").status, 404U);
}

}  // namespace
}  // namespace casemate::console
