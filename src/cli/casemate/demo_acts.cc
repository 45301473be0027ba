// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/demo_acts.h"

#include <array>

#include "os/file.h"

namespace casemate::cli {
namespace {

constexpr auto kParent = Who::kParent;
constexpr auto kAdmin = Who::kAdministrator;

// What each act needs of an earlier one is kept in shell variables, so that the commands stay those of a terminal.
constexpr std::string_view kEnclaveId = "$(nitro-cli describe-enclaves | jq -r '.[0].EnclaveID')";
constexpr std::string_view kSubmit = "data-processing-client --submit --ciphertext string.encrypted --alias my-enclave-key";
constexpr std::string_view kDenied = "AccessDeniedException";

bool command_works(Stage& stage, std::string_view command) {
  return !stage.quietly(kParent, fmt::format("{} >/dev/null 2>&1 && echo yes", command)).empty();
}

Engine choose(Stage& stage, Engine engine) {
  if (engine != Engine::kAutomatic) return engine;
  return command_works(stage, "docker version --format '{{.Server.Version}}'") ? Engine::kDocker : Engine::kBuildah;
}

// build_image makes the container image `name` of the folder of that name and the EIF `output` of it.
bool build_image(Stage& stage, Engine engine, std::string_view name) {
  if (choose(stage, engine) == Engine::kDocker) {
    return stage.succeeds(kParent, fmt::format("DOCKER_BUILDKIT=0 docker build --quiet --tag {0}:latest {0}", name));
  }
  return stage.succeeds(kParent, fmt::format("buildah --storage-driver vfs build --quiet --isolation chroot --tag {0}:latest {0}", name)) &&
         stage.succeeds(kParent, fmt::format("buildah --storage-driver vfs push --quiet {0}:latest oci-archive:{0}.tar:{0}:latest", name));
}

std::string image_uri(Stage& stage, Engine engine, std::string_view name) {
  return choose(stage, engine) == Engine::kDocker ? fmt::format("{}:latest", name) : fmt::format("oci-archive:{0}.tar --name {0}", name);
}

bool build_enclave(Stage& stage, Engine engine, std::string_view name, std::string_view output, std::string_view more = {}) {
  return stage.succeeds(kParent,
                        fmt::format("nitro-cli build-enclave --docker-uri {} --output-file {}.eif{} | tee {}.json",
                                    image_uri(stage, engine, name), output, more, output),
                        {"Enclave Image successfully created.", "\"PCR0\"", "\"PCR1\"", "\"PCR2\""});
}

std::string measurement(Stage& stage, std::string_view image, std::string_view pcr) {
  return stage.quietly(kParent, fmt::format("jq -r .Measurements.{} {}.json", pcr, image));
}

bool run_enclave(Stage& stage, std::string_view eif, std::string_view mode = {}) {
  return stage.succeeds(kParent, fmt::format("nitro-cli run-enclave {}--cpu-count 2 --memory 2148 --eif-path ./{}.eif", mode, eif),
                        {"\"EnclaveCID\""});
}

bool terminate(Stage& stage) {
  return stage.succeeds(kParent, fmt::format("nitro-cli terminate-enclave --enclave-id {}", kEnclaveId), {"\"Terminated\": true"});
}

// put_policy stores key_policy.json with one register as the condition of the Decrypt statement.
void put_condition(Stage& stage, std::string_view reg, std::string_view value) {
  stage.set("REGISTER", std::string(reg));
  stage.set("VALUE", std::string(value));
  stage.succeeds(kAdmin,
                 "jq --arg key kms:RecipientAttestation:$REGISTER --arg value $VALUE \\\n"
                 "      '(.Statement[] | select(.Action == \"kms:Decrypt\")).Condition = {StringEqualsIgnoreCase: {($key): $value}}' \\\n"
                 "      key_policy.json > conditioned.json &&\n"
                 "    aws kms put-key-policy --key-id $KEY_ID --policy-name default --policy file://conditioned.json");
}

std::string flip_last_digit(std::string hex) {
  if (!hex.empty()) hex.back() = hex.back() == '0' ? '1' : '0';
  return hex;
}

void act_1(Stage& stage, Engine) {
  stage.succeeds(kParent, "casemate up --listen 127.0.0.1:0 --imds 127.0.0.1:0", {"https://localhost:"});
  stage.say("eval \"$(casemate env)\" in every terminal of the parent, eval \"$(casemate env --admin)\" for the administrator");
  const os::Path folder = stage.folder();
  for (const auto& [file, flag] : {std::pair{"parent.env", ""}, std::pair{"admin.env", " --admin"}}) {
    const std::string text = stage.quietly(kParent, fmt::format("casemate env{}", flag));
    stage.check(fmt::format("casemate env{} prints settings", flag), !text.empty());
    const auto written = os::write_file(folder / file, as_bytes(text), 0600);
    stage.check("settings kept", written.ok());
  }
  stage.succeeds(kParent, "aws sts get-caller-identity",
                 {"\"Account\": \"111122223333\"", "arn:aws:sts::111122223333:assumed-role/casemate-parent/i-"});
}

void act_2(Stage& stage, Engine) {
  stage.succeeds(kAdmin, "aws kms create-key --query KeyMetadata.KeyId --output text | tee key-id");
  stage.set("KEY_ID", stage.quietly(kParent, "cat key-id"));
  stage.succeeds(kAdmin, "aws kms create-alias --alias-name alias/my-enclave-key --target-key-id $KEY_ID");
  stage.succeeds(kAdmin, "aws kms get-key-policy --key-id $KEY_ID --policy-name default --query Policy --output text",
                 {"Enable IAM User Permissions", "arn:aws:iam::111122223333:root"});
}

void act_3(Stage& stage, Engine) {
  stage.fails(kParent, "aws kms describe-key --key-id alias/my-enclave-key",
              {std::string(kDenied), "is not authorized to perform: kms:DescribeKey on resource: arn:aws:kms:us-east-1:111122223333:key/"});
}

void act_4(Stage& stage, Engine) {
  stage.succeeds(kParent,
                 "read -r account arn < <(aws sts get-caller-identity --query '[Account,Arn]' --output text) &&\n"
                 "    sed -e \"s|ACCOUNT_ID|$account|g\" -e \"s|AWS_PRINCIPAL|$arn|g\" key_policy_template.json | tee key_policy.json",
                 {"assumed-role/casemate-parent/i-"});
  stage.succeeds(kAdmin, "aws kms put-key-policy --key-id $KEY_ID --policy-name default --policy file://key_policy.json");
  stage.succeeds(kParent,
                 "echo hello > hello.txt && aws kms encrypt --key-id alias/my-enclave-key --plaintext fileb://hello.txt \\\n"
                 "        --query CiphertextBlob --output text | base64 --decode > hello.encrypted &&\n"
                 "    aws kms decrypt --ciphertext-blob fileb://hello.encrypted --query Plaintext --output text | base64 --decode",
                 {"hello"});
}

void act_5(Stage& stage, Engine engine) {
  if (!build_image(stage, engine, "data-processing")) return;
  if (!build_enclave(stage, engine, "data-processing", "data-processing")) return;
  stage.say("a second build of the same image gives the same measurements");
  build_enclave(stage, engine, "data-processing", "data-processing-again");
  for (const char* pcr : {"PCR0", "PCR1", "PCR2"}) {
    const std::string value = measurement(stage, "data-processing", pcr);
    stage.check(fmt::format("{} of two builds is equal", pcr), value.size() == 96 && value == measurement(stage, "data-processing-again", pcr));
  }
}

void act_6(Stage& stage, Engine) {
  stage.background(kParent, "vsock-proxy 8000 kms.us-east-1.amazonaws.com 443");
  if (!run_enclave(stage, "data-processing", "--debug-mode ")) return;
  stage.succeeds(kParent, "nitro-cli describe-enclaves | jq -r '.[0].EnclaveID'", {"i-", "-enc"});
  // run-enclave returns when the application has been executed; it listens a moment later.
  stage.quietly(kParent, fmt::format("for i in {{1..20}}; do grep -q listening < <(timeout -s INT 2 nitro-cli console --enclave-id {} 2>/dev/null) && break; done",
                                     kEnclaveId));
  stage.say("the console goes on for as long as the enclave runs; two seconds of it are enough here");
  stage.succeeds(kParent, fmt::format("timeout --preserve-status -s INT 2 nitro-cli console --enclave-id {} || true", kEnclaveId),
                 {"listening"});
}

void act_7(Stage& stage, Engine) {
  stage.succeeds(kParent, "data-processing-client --prepare --values values.txt --alias my-enclave-key");
  stage.succeeds(kParent, "base64 --decode string.encrypted > string.encrypted.binary");
}

void act_8(Stage& stage, Engine) {
  stage.succeeds(kParent, kSubmit);
  const std::string answer = stage.output();
  stage.say("two leaks, on purpose: the debug console shows the whole value, and the parent can decrypt it itself");
  stage.succeeds(kParent, fmt::format("timeout --preserve-status -s INT 2 nitro-cli console --enclave-id {} | tail -n 3 || true", kEnclaveId));
  const std::string console = stage.output();
  stage.succeeds(kParent, "aws kms decrypt --ciphertext-blob fileb://string.encrypted.binary --output text --query Plaintext | base64 --decode");
  const std::string whole = stage.output();
  if (!stage.check("the prepared value has 16 digits", whole.size() == 16)) return;
  stage.check("the server answered with its last four digits", answer.find(whole.substr(12)) != std::string::npos);
  stage.check("the console shows it whole", console.find(whole) != std::string::npos);
  stage.set("WHOLE", whole);
  stage.set("DEBUG_ENCLAVE", stage.quietly(kParent, "nitro-cli describe-enclaves | jq -r '.[0].EnclaveID'"));
}

void act_9(Stage& stage, Engine) {
  const std::string pcr0 = measurement(stage, "data-processing", "PCR0");
  put_condition(stage, "PCR0", pcr0);
  stage.succeeds(kAdmin, "aws kms get-key-policy --key-id $KEY_ID --policy-name default --query Policy --output text",
                 {"kms:RecipientAttestation:PCR0", pcr0});
}

void act_10(Stage& stage, Engine) {
  stage.fails(kParent, "aws kms decrypt --ciphertext-blob fileb://string.encrypted.binary", {std::string(kDenied), "kms:Decrypt"});
  stage.succeeds(kParent, "aws kms encrypt --key-id alias/my-enclave-key --plaintext fileb://hello.txt --query KeyId --output text",
                 {"arn:aws:kms:us-east-1:111122223333:key/"});
}

void act_11(Stage& stage, Engine) {
  const std::string last_four = stage.quietly(kParent, "printf %s \"${WHOLE:12}\"");
  for (int i = 0; i < 2; ++i) {
    stage.fails(kParent, kSubmit, {std::string(kDenied)});
    stage.check("no digit of the value came back", stage.output().find(last_four) == std::string::npos);
  }
  stage.say("AWS says no more than that; the administrator of this platform may ask why");
  stage.succeeds(kAdmin, "casemate explain --last --denied", {"debug"});
}

void act_12(Stage& stage, Engine) {
  const std::string whole = stage.quietly(kParent, "printf %s \"$WHOLE\"");
  if (!terminate(stage) || !run_enclave(stage, "data-processing")) return;
  stage.succeeds(kParent, kSubmit, {whole.substr(12)});
  stage.fails(kParent, fmt::format("nitro-cli console --enclave-id {}", kEnclaveId), {"E44"});
  stage.say("but for the values that the parent made and the console of act 8's debug enclave, which nitro-cli logs still shows");
  const std::string leaks =
      stage.quietly(kParent, "grep -rlaF -e \"$WHOLE\" --exclude=values.txt --exclude-dir=\"$DEBUG_ENCLAVE\" \"$CASEMATE_HOME\" \"$CASEMATE_RUN_DIR\" \"$NITRO_CLI_LOGS_PATH\" .; true");
  stage.check(fmt::format("the whole value is in no file of the parent's: {}", leaks), leaks.empty());
}

void act_13(Stage& stage, Engine engine) {
  stage.say("the modified server would return the whole value: diff of its one line");
  stage.succeeds(kParent, "cat data-processing-modified/server.diff");
  if (!build_image(stage, engine, "data-processing-modified")) return;
  if (!build_enclave(stage, engine, "data-processing-modified", "data-processing-modified")) return;
  for (const auto& [pcr, same] : {std::pair{"PCR0", false}, std::pair{"PCR1", true}, std::pair{"PCR2", false}}) {
    const bool equal = measurement(stage, "data-processing", pcr) == measurement(stage, "data-processing-modified", pcr);
    stage.check(fmt::format("{} of the modified image {}", pcr, same ? "is equal" : "differs"), equal == same);
  }
  if (!terminate(stage) || !run_enclave(stage, "data-processing-modified")) return;
  const std::string last_four = stage.quietly(kParent, "printf %s \"${WHOLE:12}\"");
  stage.fails(kParent, kSubmit, {std::string(kDenied)});
  stage.check("no digit of the value came back", stage.output().find(last_four) == std::string::npos);
  stage.succeeds(kAdmin, "casemate explain --last --denied", {"PCR0"});
  terminate(stage);
}

void act_14(Stage& stage, Engine engine) {
  stage.succeeds(kParent,
                 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -sha384 -days 30 -subj /CN=my-signer \\\n"
                 "        -keyout signer.key -out signer.pem 2>/dev/null");
  if (!build_enclave(stage, engine, "data-processing", "data-processing-signed", " --signing-certificate signer.pem --private-key signer.key")) return;
  if (!run_enclave(stage, "data-processing-signed")) return;
  const std::string role = "arn:aws:iam::111122223333:role/casemate-parent";
  const auto extend = [&](std::string_view text) {
    return stage.quietly(kParent, fmt::format("(head -c 48 /dev/zero; printf %s {}) | openssl dgst -sha384 -r | cut -d' ' -f1", text));
  };
  const std::string instance = stage.quietly(kParent, "jq -r '[.. | strings | select(test(\"assumed-role/casemate-parent/\"))][0] | sub(\".*/\"; \"\")' key_policy.json");
  const std::string whole = stage.quietly(kParent, "printf %s \"$WHOLE\"");
  const std::vector<std::pair<std::string, std::string>> registers = {
      {"PCR3", extend(role)},
      {"PCR4", extend(instance)},
      {"PCR8", measurement(stage, "data-processing-signed", "PCR8")},
      {"PCR1", measurement(stage, "data-processing-signed", "PCR1")},
      {"PCR2", measurement(stage, "data-processing-signed", "PCR2")},
      {"ImageSha384", measurement(stage, "data-processing-signed", "PCR0")},
  };
  for (const auto& [name, value] : registers) {
    if (!stage.check(fmt::format("{} has 96 digits", name), value.size() == 96)) continue;
    stage.say(fmt::format("{}: equal, so allowed; then with one digit changed, so denied", name));
    put_condition(stage, name, value);
    stage.succeeds(kParent, kSubmit, {whole.substr(12)});
    put_condition(stage, name, flip_last_digit(value));
    stage.fails(kParent, kSubmit, {std::string(kDenied)});
  }
  terminate(stage);
}

}  // namespace

const std::vector<Act>& acts() {
  static const std::vector<Act> kActs = {
      {1, "Start", act_1},
      {2, "Create the key", act_2},
      {3, "No access yet", act_3},
      {4, "Grant the parent", act_4},
      {5, "Build", act_5},
      {6, "Run in debug mode", act_6},
      {7, "Prepare", act_7},
      {8, "Submit, unprotected", act_8},
      {9, "Bind the key to the image", act_9},
      {10, "The parent is locked out", act_10},
      {11, "Debug is locked out", act_11},
      {12, "Production works", act_12},
      {13, "A modified image is locked out", act_13},
      {14, "The other registers", act_14},
  };
  return kActs;
}

}  // namespace casemate::cli
