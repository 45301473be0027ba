// SPDX-License-Identifier: Apache-2.0
#include "proxy/dns.h"
#include "proxy/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <thread>

#include "base/test_matchers.h"
#include "fabric/fabric.h"

namespace casemate::proxy {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

TEST(ProxyAddress, TakesCanonicalHostsOnly) {
  EXPECT_THAT(canonical_host("KMS.us-east-1.amazonaws.COM."), IsOkAnd(std::string("kms.us-east-1.amazonaws.com")));
  EXPECT_THAT(canonical_host("127.0.0.1"), IsOkAnd(std::string("127.0.0.1")));
  EXPECT_THAT(canonical_host("0:0::1"), IsOkAnd(std::string("::1")));
  EXPECT_THAT(canonical_host("::ffff:10.0.0.1"), IsOkAnd(std::string("10.0.0.1")));
  for (const std::string_view odd :
       {"", ".", "a..b", "-a.com", "a-.com", "a b", "a/b", "a:b", "127.1", "0x7f000001", "2130706433", "0177.0.0.1",
        "1.2.3.4.5", "127.0.0.1.", "k\xc3\xbcms.com", "a%00", "user@host", "[::1]", "127.0.0.0x1"})
    EXPECT_THAT(canonical_host(odd), IsError(ErrorCode::kMalformed)) << odd;
  EXPECT_THAT(canonical_host(std::string(64, 'a') + ".com"), IsError(ErrorCode::kMalformed));
}

TEST(ProxyAddress, KnowsWhatIsNoPlaceToConnectTo) {
  for (const auto text :
       {"0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1", "fd00:ec2::254"})
    EXPECT_TRUE(ip(text).is_unroutable()) << text;
  EXPECT_FALSE(ip("10.1.2.3").is_unroutable());
  EXPECT_FALSE(ip("fd00::1").is_unroutable());
  EXPECT_TRUE(ip("127.9.9.9").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_TRUE(ip("::ffff:127.0.0.1").is_loopback());
}

TEST(ProxyAddress, ReadsOverrides) {
  const auto both = parse_overrides("kms.x:443:127.0.0.1:8443,kms.y:443:[::1]:9,kms.z:443:10.0.0.1,");
  ASSERT_THAT(both, IsOk());
  EXPECT_EQ((*both)[0].address, ip("127.0.0.1"));
  EXPECT_EQ((*both)[0].port, 8443);
  EXPECT_EQ((*both)[1].address, ip("::1"));
  EXPECT_EQ((*both)[2].port, 443);
  for (const auto odd : {"a", "a:1", "a:1:b", "a:0:1.2.3.4", "a:1:[::1", "a:1:1.2.3.4:x", "a:1:::1"})
    EXPECT_THAT(parse_override(odd), IsError(ErrorCode::kMalformed)) << odd;
}

TEST(ProxyAllowlist, ReadsAwsFile) {
  const auto config = parse_config(
      "allowlist:\n- {address: kms.us-east-1.amazonaws.com, port: 443}\n- {address: 10.0.0.1, port: '8080'}\nother: "
      "1\n",
      Wildcards::kRefused);
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->allowlist.names({"kms.us-east-1.amazonaws.com", 443}));
  EXPECT_FALSE(config->allowlist.names({"kms.us-east-1.amazonaws.com", 80}));
  EXPECT_FALSE(config->allowlist.names({"evil-kms.us-east-1.amazonaws.com", 443}));
  EXPECT_TRUE(config->allowlist.names({"10.0.0.1", 8080}));
}

TEST(ProxyAllowlist, ReadsRoutesWithTheirLimits) {
  const auto config = parse_config(
      "allowlist: []\nroutes:\n- {port: 8000, address: a.x, remote_port: 443}\n"
      "- {port: 8001, address: b.x, remote_port: 80, max_connections: 7}\n",
      Wildcards::kRefused);
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->routes, ElementsAre(Route{8000, {"a.x", 443}, 0}, Route{8001, {"b.x", 80}, 7}));
  for (const auto odd : {"0", "-1", "x", "[1]"}) {
    EXPECT_THAT(parse_config(fmt::format("allowlist: []\nroutes: [{{port: 1, address: a, remote_port: 1, max_connections: {}}}]", odd), Wildcards::kRefused),
                IsError(ErrorCode::kMalformed, HasSubstr("routes[0]: max_connections")));
  }
}

TEST(ProxyAllowlist, NamesWhatIsWrong) {
  EXPECT_THAT(parse_config("whitelist: []", Wildcards::kRefused), IsError(ErrorCode::kMalformed, "No allowlist field"));
  EXPECT_THAT(parse_config("", Wildcards::kRefused), IsError(ErrorCode::kMalformed, "No allowlist field"));
  EXPECT_THAT(parse_config("allowlist: [{address: a}]", Wildcards::kRefused),
              IsError(ErrorCode::kMalformed, HasSubstr("allowlist[0]: port")));
  EXPECT_THAT(parse_config("allowlist: [{address: a, port: 70000}]", Wildcards::kRefused),
              IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_config("allowlist: [a: b: c", Wildcards::kRefused),
              IsError(ErrorCode::kMalformed, HasSubstr("line 1")));
  EXPECT_THAT(parse_config("allowlist: [{address: '*.x.com', port: 1}]", Wildcards::kRefused),
              IsError(ErrorCode::kUnsupported));
  EXPECT_THAT(parse_config("allowlist: [{address: '*.com', port: 1}]", Wildcards::kAllowed),
              IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_config("allowlist: [{address: 'a.*.com', port: 1}]", Wildcards::kAllowed),
              IsError(ErrorCode::kMalformed));
}

TEST(ProxyAllowlist, WildcardsStandForOneLabel) {
  const auto config = parse_config("allowlist: [{address: '*.x.com', port: 1}]", Wildcards::kAllowed);
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->allowlist.names({"a.x.com", 1}));
  EXPECT_FALSE(config->allowlist.names({"x.com", 1}));
  EXPECT_FALSE(config->allowlist.names({"a.b.x.com", 1}));
  EXPECT_FALSE(config->allowlist.names({"a.ax.com", 1}));
}

TEST(ProxyAllowlist, DefaultIsKmsOfEveryRegion) {
  EXPECT_EQ(default_allowlist().entries().size(), 76U);
  EXPECT_TRUE(default_allowlist().names({"kms-fips.us-gov-west-1.amazonaws.com", 443}));
}

Lookup fake(std::map<std::string, std::vector<IpAddress>> names) {
  return [names](const std::string& host, Family) -> Result<std::vector<IpAddress>> {
    if (const auto literal = IpAddress::parse(host)) return std::vector{*literal};
    const auto it = names.find(host);
    if (it == names.end()) return not_found("{}: no such name", host);
    return it->second;
  };
}

TEST(ProxyAdmission, AllowsByNameWithoutDnsAndByAddressPinned) {
  const Allowlist allowlist({{"listed.x", 443}, {"10.0.0.1", 443}, {"third.x", 443}});
  const auto lookup = fake({{"alias.x", {ip("10.0.0.1"), ip("10.0.0.9")}},
                            {"other.x", {ip("10.0.0.2")}},
                            {"third.x", {ip("10.0.0.1"), ip("10.0.0.3")}}});
  const auto by_name = admit({"listed.x", 443}, allowlist, Family::kAny, lookup);
  ASSERT_THAT(by_name, IsOk());
  EXPECT_TRUE(by_name->pinned.empty());
  const auto by_address = admit({"alias.x", 443}, allowlist, Family::kAny, lookup);
  ASSERT_THAT(by_address, IsOk());
  EXPECT_THAT(by_address->pinned, ElementsAre(ip("10.0.0.1"), ip("10.0.0.1"), ip("10.0.0.3")));
  EXPECT_THAT(admit({"other.x", 443}, allowlist, Family::kAny, lookup),
              IsError(ErrorCode::kDenied, HasSubstr("The given address and port are not allowed")));
  EXPECT_THAT(admit({"listed.x", 80}, allowlist, Family::kAny, lookup),
              IsError(ErrorCode::kDenied, HasSubstr("no such name")));
}

TEST(ProxyAdmission, DnsCannotWidenIt) {
  const Admission pinned{{ip("10.0.0.1")}};
  EXPECT_THAT(permitted({"alias.x", 443}, {{ip("10.0.0.9"), ip("10.0.0.1")}, 443, false}, pinned),
              IsOkAnd(ElementsAre(ip("10.0.0.1"))));
  EXPECT_THAT(permitted({"alias.x", 443}, {{ip("10.0.0.9")}, 443, false}, pinned), IsError(ErrorCode::kDenied));
  EXPECT_THAT(permitted({"a.x", 443}, {{ip("169.254.169.254")}, 443, false}, {}),
              IsError(ErrorCode::kDenied, HasSubstr("link-local")));
  EXPECT_THAT(permitted({"a.x", 443}, {{ip("127.0.0.1")}, 443, false}, {}),
              IsError(ErrorCode::kDenied, HasSubstr("--resolve")));
  EXPECT_THAT(permitted({"a.x", 443}, {{ip("127.0.0.1")}, 443, true}, {}), IsOk());
  EXPECT_THAT(permitted({"localhost", 443}, {{ip("127.0.0.1")}, 443, false}, {}), IsOk());
}

TEST(ProxyDialer, AlternatesFamilies) {
  EXPECT_THAT(interleave({ip("::1"), ip("::2"), ip("1.1.1.1"), ip("::3"), ip("2.2.2.2")}),
              ElementsAre(ip("::1"), ip("1.1.1.1"), ip("::2"), ip("2.2.2.2"), ip("::3")));
}

TEST(ProxyListener, ChoosesItsTransport) {
  EXPECT_EQ(choose_transport({}), Transport::kKernel);
  EXPECT_EQ(choose_transport({.run_dir_named = true}), Transport::kKernel);
  EXPECT_EQ(choose_transport({.run_dir_exists = true}), Transport::kFabric);
  EXPECT_EQ(choose_transport({.run_dir_exists = true, .nitro_device_exists = true}), Transport::kKernel);
  EXPECT_EQ(choose_transport({.run_dir_named = true, .run_dir_exists = true, .nitro_device_exists = true}),
            Transport::kFabric);
}

UniqueFd tcp_listener(std::uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 512), 0);
  socklen_t size = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

TEST(ProxyDialer, GoesOnToTheAddressThatAnswers) {
  std::uint16_t port = 0;
  const UniqueFd listener = tcp_listener(port);
  auto loop = net::Loop::create().take();
  bool connected = false;
  // 127.0.0.2 refuses: the listener is bound to 127.0.0.1.
  const Dialer dialer(*loop, {ip("127.0.0.2"), ip("::1"), ip("127.0.0.1")}, port, {}, [&](Result<UniqueFd> fd) {
    connected = fd.ok();
    loop->stop();
  });
  loop->run();
  EXPECT_TRUE(connected);
}

TEST(ProxyDialer, TellsWhyNothingAnswered) {
  std::uint16_t port = 0;
  tcp_listener(port).reset();
  auto loop = net::Loop::create().take();
  Result<UniqueFd> outcome = internal("none");
  const Dialer dialer(*loop, {ip("127.0.0.1")}, port, {}, [&](Result<UniqueFd> fd) {
    outcome = std::move(fd);
    loop->stop();
  });
  loop->run();
  EXPECT_THAT(outcome, IsError(ErrorCode::kUnavailable, HasSubstr("127.0.0.1: Connection refused")));
}

// A response with one question and the given answers, each {type, ttl, data}.
Bytes dns_response(const std::vector<std::tuple<std::uint16_t, std::uint32_t, Bytes>>& answers) {
  Bytes out{0, 1, 0x81, 0x80, 0, 1, 0, static_cast<std::uint8_t>(answers.size()), 0, 0, 0, 0, 1, 'a', 1, 'x', 0, 0, 1, 0, 1};
  for (const auto& [type, ttl, data] : answers) {
    out.insert(out.end(), {0xc0, 12, 0, static_cast<std::uint8_t>(type), 0, 1, static_cast<std::uint8_t>(ttl >> 24), static_cast<std::uint8_t>(ttl >> 16),
                           static_cast<std::uint8_t>(ttl >> 8), static_cast<std::uint8_t>(ttl), 0, static_cast<std::uint8_t>(data.size())});
    out.insert(out.end(), data.begin(), data.end());
  }
  return out;
}

TEST(ProxyDns, ReadsTheSmallestTtl) {
  EXPECT_EQ(smallest_ttl(dns_response({{5, 300, {1, 'b', 0}}, {1, 60, {10, 0, 0, 1}}, {1, 61, {10, 0, 0, 2}}})), 60s);
  EXPECT_EQ(smallest_ttl(dns_response({{46, 1, Bytes(18)}, {28, 20, Bytes(16)}})), 20s);
  EXPECT_EQ(smallest_ttl(dns_response({{1, 0x80000001, {10, 0, 0, 1}}})), 0s);
  EXPECT_EQ(smallest_ttl(dns_response({})), std::nullopt);
}

TEST(ProxyDns, TakesNoResponseThatIsCutOrNone) {
  const Bytes whole = dns_response({{1, 60, {10, 0, 0, 1}}});
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(smallest_ttl(ByteView(whole).first(size)), std::nullopt) << size;
  Bytes query = whole;
  query[2] = 0x01;
  EXPECT_EQ(smallest_ttl(query), std::nullopt);
  Bytes label = whole;
  label[12] = 0x80;
  EXPECT_EQ(smallest_ttl(label), std::nullopt);
}

TEST(ProxyResolver, KeepsAnAnswerForItsTtl) {
  auto loop = net::Loop::create().take();
  net::Pool pool("dns", 1);
  int asked = 0;
  std::optional<std::chrono::seconds> ttl = 3600s;
  const Lookup lookup = [&](const std::string&, Family) -> Result<std::vector<IpAddress>> {
    ++asked;
    return std::vector{ip("10.0.0.1")};
  };
  const auto resolve = [&](Resolver& resolver) {
    resolver.resolve({"a.x", 443}, Family::kAny, [&](Result<Target> target) {
      EXPECT_TRUE(target.ok());
      loop->post([&] { loop->stop(); });
    });
    loop->run();
  };
  Resolver kept(*loop, pool, lookup, {}, 1h, 1h, [&](const std::string&, Family) { return ttl; });
  resolve(kept);
  resolve(kept);
  EXPECT_EQ(asked, 1);
  Resolver capped(*loop, pool, lookup, {}, 0ms, 1h, [&](const std::string&, Family) { return ttl; });
  resolve(capped);
  resolve(capped);
  EXPECT_EQ(asked, 3);
}

TEST(ProxyResolver, AsksOnceKeepsAndSurvivesFailure) {
  auto loop = net::Loop::create().take();
  net::Pool pool("test", 2);
  std::atomic<int> asked{0};
  const Lookup lookup = [&](const std::string& host, Family) -> Result<std::vector<IpAddress>> {
    std::this_thread::sleep_for(20ms);
    if (++asked > 1) return unavailable("{}: no server", host);
    return std::vector{ip("10.0.0.1")};
  };
  Resolver resolver(*loop, pool, lookup, {}, 50ms, 1h);
  int answers = 0;
  const auto count = [&](Result<Target> target) {
    EXPECT_THAT(target, IsOk());
    if (++answers == 3) loop->stop();
  };
  for (int i = 0; i < 3; ++i) resolver.resolve({"a.x", 443}, Family::kAny, count);
  loop->run();
  EXPECT_EQ(asked, 1);
  std::this_thread::sleep_for(60ms);
  answers = 2;
  resolver.resolve({"a.x", 443}, Family::kAny, count);  // kept no longer, and the look-up fails: the old answer
  loop->run();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(answers, 3);
}

// A relay between two socket pairs, its loop on a thread.
class Pairs {
 public:
  explicit Pairs(RelayOptions options = {}) : loop_(net::Loop::create().take()), relay_(*loop_, options) {}
  ~Pairs() {
    loop_->stop();
    if (thread_.joinable()) thread_.join();
  }
  std::pair<UniqueFd, UniqueFd> add() {
    int near[2];
    int far[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far), 0);
    EXPECT_THAT(relay_.add(UniqueFd(near[1]), UniqueFd(far[0]), [this](const RelayEnd& end) { last = end, ++ended; }),
                IsOk());
    return {UniqueFd(near[0]), UniqueFd(far[1])};
  }
  void start() {
    thread_ = std::thread([this] { loop_->run(); });
  }
  net::Loop& loop() { return *loop_; }
  Relay& relay() { return relay_; }
  std::atomic<int> ended{0};
  RelayEnd last;

 private:
  std::unique_ptr<net::Loop> loop_;
  Relay relay_;
  std::thread thread_;
};

std::string read_to_end(int fd) {
  std::string out;
  char buffer[65536];
  for (ssize_t got = 0; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<std::size_t>(got));
  return out;
}

void write_fully(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

TEST(ProxyRelay, KeepsHalfClose) {
  Pairs pairs;
  auto [local, remote] = pairs.add();
  pairs.start();
  write_fully(local.get(), "request");
  ::shutdown(local.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(remote.get()), "request");
  write_fully(remote.get(), "answer after the end of the request");
  remote.reset();
  EXPECT_EQ(read_to_end(local.get()), "answer after the end of the request");
  while (pairs.ended == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pairs.last.from_local, 7U);
  EXPECT_EQ(pairs.last.reason, RelayEnd::Reason::kFinished);
}

TEST(ProxyRelay, CarriesMuchBothWaysAtOnce) {
  Pairs pairs;
  auto [local, remote] = pairs.add();
  pairs.start();
  std::string there(20'000'000, 'x');
  std::string back(15'000'000, 'y');
  for (std::size_t i = 0; i < there.size(); i += 997) there[i] = static_cast<char>(i);
  for (std::size_t i = 0; i < back.size(); i += 991) back[i] = static_cast<char>(i);
  const auto send_all = [](int fd, const std::string& text) {
    write_fully(fd, text);
    ::shutdown(fd, SHUT_WR);
  };
  std::thread a([&, fd = local.get()] { send_all(fd, there); });
  std::thread b([&, fd = remote.get()] { send_all(fd, back); });
  std::string got_back;
  std::thread c([&, fd = local.get()] { got_back = read_to_end(fd); });
  const std::string got_there = read_to_end(remote.get());
  a.join();
  b.join();
  c.join();
  EXPECT_TRUE(got_there == there);
  EXPECT_TRUE(got_back == back);
}

TEST(ProxyRelay, HoldsBackASenderWhoseReaderStallsAndServesOthers) {
  Pairs pairs;
  auto [stalled, unread] = pairs.add();
  auto [local, remote] = pairs.add();
  pairs.start();
  const std::string block(64 * 1024, 'a');
  std::size_t taken = 0;
  for (int i = 0; i < 200; ++i) {
    const ssize_t put = ::send(stalled.get(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put > 0) taken += static_cast<std::size_t>(put);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LT(taken, 2U * 1024 * 1024);
  write_fully(local.get(), "ping");
  char got[4];
  EXPECT_EQ(::recv(remote.get(), got, 4, MSG_WAITALL), 4);
  ::shutdown(stalled.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(unread.get()).size(), taken);
}

TEST(ProxyRelay, ClosesTheSilent) {
  Pairs pairs({.idle_timeout = 50ms});
  auto [local, remote] = pairs.add();
  pairs.start();
  EXPECT_EQ(read_to_end(remote.get()), "");
  while (pairs.ended == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pairs.last.reason, RelayEnd::Reason::kIdle);
}

// The proxy on a fabric in a folder of its own, before a TCP server.
class FabricProxy : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/proxy-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    server_ = tcp_listener(server_port_);
    loop_ = net::Loop::create().take();
    pool_ = std::make_unique<net::Pool>("test", 2);
    resolver_ = std::make_unique<Resolver>(
        *loop_, *pool_, fake({}), std::vector<Override>{{{"kms.x", 443}, ip("127.0.0.1"), server_port_}}, 30s, 1h);
  }
  void TearDown() override {
    if (thread_.joinable()) {
      loop_->stop();
      thread_.join();
    }
    proxy_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start(ProxyOptions options, const HostPort& remote = {"kms.x", 443}) {
    proxy_ = std::make_unique<Proxy>(*loop_, *resolver_, options, Log());
    auto listener = open_listener(Transport::kFabric, folder_ + "/vsock", 8000);
    ASSERT_THAT(listener, IsOk());
    ASSERT_THAT(proxy_->add_route({8000, remote}, {}, listener.take()), IsOk());
    thread_ = std::thread([this] { loop_->run(); });
  }
  UniqueFd dial() { return fabric::connect(folder_ + "/vsock", 16, {3, 8000}).take(); }
  UniqueFd accept() { return UniqueFd(::accept(server_.get(), nullptr, nullptr)); }

  std::string folder_;
  std::uint16_t server_port_ = 0;
  UniqueFd server_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<net::Pool> pool_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Proxy> proxy_;
  std::thread thread_;
};

TEST_F(FabricProxy, RelaysManyConnections) {
  start({});
  constexpr int kMany = 200;
  std::vector<UniqueFd> clients;
  std::vector<UniqueFd> servers;
  for (int i = 0; i < kMany; ++i) {
    clients.push_back(dial());
    write_fully(clients.back().get(), fmt::format("hello {:04}", i));
  }
  for (int i = 0; i < kMany; ++i) servers.push_back(accept());
  for (auto& each : servers) {
    char text[10];
    ASSERT_EQ(::recv(each.get(), text, sizeof text, MSG_WAITALL), 10);
    write_fully(each.get(), {text, 10});
  }
  for (int i = 0; i < kMany; ++i) {
    char text[10];
    ASSERT_EQ(::recv(clients[static_cast<std::size_t>(i)].get(), text, sizeof text, MSG_WAITALL), 10);
    EXPECT_EQ(std::string_view(text, 10), fmt::format("hello {:04}", i));
  }
}

TEST_F(FabricProxy, LookupFailureEndsThatConnectionOnly) {
  start({}, {"gone.x", 443});
  const UniqueFd failing = dial();
  EXPECT_EQ(read_to_end(failing.get()), "");
  loop_->post([this] { ASSERT_THAT(proxy_->add_route({8000, {"kms.x", 443}}, {}, nullptr), IsOk()); });
  std::this_thread::sleep_for(20ms);
  const UniqueFd good = dial();
  write_fully(good.get(), "still here");
  ::shutdown(good.get(), SHUT_WR);
  const UniqueFd server = accept();
  EXPECT_EQ(read_to_end(server.get()), "still here");
}

TEST_F(FabricProxy, LetsConnectionsOverTheLimitWait) {
  ProxyOptions options;
  options.connections_per_route = 1;
  start(options);
  UniqueFd first = dial();
  const UniqueFd second = dial();
  write_fully(second.get(), "second");
  UniqueFd first_server = accept();
  std::this_thread::sleep_for(50ms);
  first.reset();
  first_server.reset();
  const UniqueFd second_server = accept();
  char text[6];
  EXPECT_EQ(::recv(second_server.get(), text, 6, MSG_WAITALL), 6);
}

TEST_F(FabricProxy, NamesAPortInUse) {
  start({});
  EXPECT_THAT(open_listener(Transport::kFabric, folder_ + "/vsock", 8000),
              IsError(ErrorCode::kConflict, HasSubstr("Could not bind to cid: 3 port: 8000")));
}

}  // namespace
}  // namespace casemate::proxy
