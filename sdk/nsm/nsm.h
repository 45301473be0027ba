// SPDX-License-Identifier: Apache-2.0
// libnsm: C interface of the Nitro Secure Module, call for call and value for value as AWS's library of this name.
// Programs compiled against AWS's nsm.h link with this library unchanged.
#ifndef NSM_LIB_H
#define NSM_LIB_H

#include <stdbool.h>
#include <stdint.h>

// What a call answers.
typedef enum ErrorCode {
  ERROR_CODE_SUCCESS = 0,
  ERROR_CODE_INVALID_ARGUMENT = 1,
  ERROR_CODE_INVALID_INDEX = 2,
  ERROR_CODE_INVALID_RESPONSE = 3,   // the NSM answered something else than was asked
  ERROR_CODE_READ_ONLY_INDEX = 4,    // the PCR is locked
  ERROR_CODE_INVALID_OPERATION = 5,
  ERROR_CODE_BUFFER_TOO_SMALL = 6,   // an output buffer; it holds the beginning
  ERROR_CODE_INPUT_TOO_LARGE = 7,    // a request of more than 4096 bytes
  ERROR_CODE_INTERNAL_ERROR = 8,
} ErrorCode;

typedef enum Digest {
  DIGEST_SHA256 = 0,
  DIGEST_SHA384 = 1,
  DIGEST_SHA512 = 2,
} Digest;

typedef struct NsmDescription {
  uint16_t version_major;
  uint16_t version_minor;
  uint16_t version_patch;
  uint8_t module_id[100];  // ends in a NUL
  uint32_t module_id_len;  // without the NUL
  uint16_t max_pcrs;
  uint16_t locked_pcrs[64];
  uint32_t locked_pcrs_len;
  Digest digest;
} NsmDescription;

#ifdef __cplusplus
extern "C" {
#endif

// Opens the device; -1 if there is none. Calls on one descriptor may come from several threads.
int32_t nsm_lib_init(void);
void nsm_lib_exit(int32_t fd);

// The length parameters of outputs hold the capacity before and the bytes written after. If the buffer is too short it
// gets the beginning and the answer is ERROR_CODE_BUFFER_TOO_SMALL.
ErrorCode nsm_extend_pcr(int32_t fd, uint16_t index, const uint8_t *data, uint32_t data_len, uint8_t *pcr_data,
                         uint32_t *pcr_data_len);
ErrorCode nsm_describe_pcr(int32_t fd, uint16_t index, bool *lock, uint8_t *data, uint32_t *data_len);
ErrorCode nsm_lock_pcr(int32_t fd, uint16_t index);
// Locks the PCRs 0 .. range-1.
ErrorCode nsm_lock_pcrs(int32_t fd, uint16_t range);
ErrorCode nsm_get_description(int32_t fd, NsmDescription *nsm_description);
// A NULL input is absent from the document, one of length 0 is empty in it.
ErrorCode nsm_get_attestation_doc(int32_t fd, const uint8_t *user_data, uint32_t user_data_len,
                                  const uint8_t *nonce_data, uint32_t nonce_len, const uint8_t *pub_key_data,
                                  uint32_t pub_key_len, uint8_t *att_doc_data, uint32_t *att_doc_len);
// Fills at most *buf_len bytes; a shorter answer is no error.
ErrorCode nsm_get_random(int32_t fd, uint8_t *buf, uintptr_t *buf_len);

#ifdef __cplusplus
}
#endif

#endif  // NSM_LIB_H
