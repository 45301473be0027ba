// SPDX-License-Identifier: Apache-2.0
#include "kms/seal/token.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <vector>

namespace casemate::kms::seal {
namespace {

constexpr std::size_t kTagSize = 16;
constexpr std::size_t kMostSealed = 4096;

Error token_error(std::string_view step, CK_RV code) {
  const auto text = fmt::format("token: {} failed (0x{:x})", step, code);
  switch (code) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_LOCKED:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
      return denied("{}", text);
    default:
      return unavailable("{}", text);
  }
}

Result<void> check(std::string_view step, CK_RV code) {
  if (code == CKR_OK) return {};
  return token_error(step, code);
}

unsigned char* bytes_of(ByteView view) {
  // PKCS#11 declares its inputs without const and does not write to them.
  return const_cast<unsigned char*>(view.data());
}

struct CloseModule {
  void operator()(void* handle) const { ::dlclose(handle); }
};
using Module = std::unique_ptr<void, CloseModule>;

// Labels are padded with blanks to the field's width.
bool is_label(const unsigned char* field, std::size_t width, std::string_view label) {
  std::string_view text(reinterpret_cast<const char*>(field), width);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text == label;
}

class TokenImpl final : public Token {
 public:
  TokenImpl(Module module, CK_FUNCTION_LIST* functions) : module_(std::move(module)), functions_(functions) {}
  ~TokenImpl() override {
    if (session_ != 0) functions_->C_CloseSession(session_);
    if (initialized_) functions_->C_Finalize(nullptr);
  }

  Result<void> log_in(const std::string& label, const Secret& pin) {
    TRY(check("C_Initialize", functions_->C_Initialize(nullptr)));
    initialized_ = true;
    const CK_SLOT_ID slot = TRY(find_slot(label));
    TRY(check("C_OpenSession",
              functions_->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session_)));
    return check("C_Login", functions_->C_Login(session_, CKU_USER, bytes_of(pin.expose()), pin.size()));
  }

  Result<void> find_key(const std::string& label, Missing missing) {
    CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &kind, sizeof kind},
                             {CKA_KEY_TYPE, &type, sizeof type},
                             {CKA_LABEL, bytes_of(as_bytes(label)), label.size()}};
    TRY(check("C_FindObjectsInit", functions_->C_FindObjectsInit(session_, wanted, 3)));
    CK_ULONG count = 0;
    CK_OBJECT_HANDLE found[2];
    const CK_RV searched = functions_->C_FindObjects(session_, found, 2, &count);
    functions_->C_FindObjectsFinal(session_);
    TRY(check("C_FindObjects", searched));
    if (count > 1) return conflict("token: several keys \"{}\"", label);
    if (count == 1) {
      key_ = found[0];
      return {};
    }
    if (missing == Missing::kRefuse) return not_found("token: no AES key \"{}\"", label);
    return create_key(label);
  }

  Result<Bytes> seal(ByteView nonce, ByteView associated_data, const Secret& plaintext) override {
    CK_GCM_PARAMS parameters = gcm(nonce, associated_data);
    CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
    TRY(check("C_EncryptInit", functions_->C_EncryptInit(session_, &mechanism, key_)));
    Bytes out(plaintext.size() + kTagSize);
    CK_ULONG size = out.size();
    TRY(check("C_Encrypt",
              functions_->C_Encrypt(session_, bytes_of(plaintext.expose()), plaintext.size(), out.data(), &size)));
    if (size != out.size()) return unavailable("token: C_Encrypt gave {} bytes", size);
    return out;
  }

  Result<Secret> unseal(ByteView nonce, ByteView associated_data, ByteView sealed) override {
    if (sealed.size() < kTagSize || sealed.size() > kMostSealed)
      return untrusted("token: {} sealed bytes", sealed.size());
    CK_GCM_PARAMS parameters = gcm(nonce, associated_data);
    CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
    TRY(check("C_DecryptInit", functions_->C_DecryptInit(session_, &mechanism, key_)));
    Secret out = Secret::of_size(sealed.size());
    CK_ULONG size = out.size();
    if (functions_->C_Decrypt(session_, bytes_of(sealed), sealed.size(), out.expose_mutable().data(), &size) !=
            CKR_OK ||
        size > out.size()) {
      return untrusted("token: does not open");
    }
    out.truncate(size);
    return out;
  }

 private:
  static CK_GCM_PARAMS gcm(ByteView nonce, ByteView associated_data) {
    CK_GCM_PARAMS out{};
    out.pIv = bytes_of(nonce);
    out.ulIvLen = nonce.size();
    out.ulIvBits = nonce.size() * 8;
    out.pAAD = bytes_of(associated_data);
    out.ulAADLen = associated_data.size();
    out.ulTagBits = kTagSize * 8;
    return out;
  }

  Result<CK_SLOT_ID> find_slot(const std::string& label) {
    CK_ULONG count = 0;
    TRY(check("C_GetSlotList", functions_->C_GetSlotList(CK_TRUE, nullptr, &count)));
    std::vector<CK_SLOT_ID> slots(count);
    TRY(check("C_GetSlotList", functions_->C_GetSlotList(CK_TRUE, slots.data(), &count)));
    slots.resize(std::min<std::size_t>(slots.size(), count));
    for (const CK_SLOT_ID slot : slots) {
      CK_TOKEN_INFO info{};
      if (functions_->C_GetTokenInfo(slot, &info) == CKR_OK && is_label(info.label, sizeof info.label, label))
        return slot;
    }
    return not_found("token: no token \"{}\"", label);
  }

  Result<void> create_key(const std::string& label) {
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ULONG size = 32;
    CK_ATTRIBUTE attributes[] = {
        {CKA_TOKEN, &yes, sizeof yes},       {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes},   {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_ENCRYPT, &yes, sizeof yes},     {CKA_DECRYPT, &yes, sizeof yes},
        {CKA_VALUE_LEN, &size, sizeof size}, {CKA_LABEL, bytes_of(as_bytes(label)), label.size()}};
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    return check("C_GenerateKey", functions_->C_GenerateKey(session_, &mechanism, attributes,
                                                            sizeof attributes / sizeof *attributes, &key_));
  }

  Module module_;
  CK_FUNCTION_LIST* functions_;
  bool initialized_ = false;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
};

}  // namespace

Result<std::unique_ptr<Token>> Token::open(const TokenKey& name, const Secret& pin, Missing missing) {
  Module module(::dlopen(name.module.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!module) return not_found("token: {}: no PKCS#11 module", name.module);
  void* symbol = ::dlsym(module.get(), "C_GetFunctionList");
  if (symbol == nullptr) return malformed("token: {}: no C_GetFunctionList", name.module);
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(symbol);
  CK_FUNCTION_LIST* functions = nullptr;
  TRY(check("C_GetFunctionList", get(&functions)));
  auto token = std::make_unique<TokenImpl>(std::move(module), functions);
  TRY(token->log_in(name.token, pin));
  TRY(token->find_key(name.key, missing));
  return std::unique_ptr<Token>(std::move(token));
}

}  // namespace casemate::kms::seal
