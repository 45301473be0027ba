// SPDX-License-Identifier: Apache-2.0
// A plain C enclave program on nsm.h: prints what the module says of itself, its first registers and an attestation
// document, as hex. It would run on Nitro hardware as it is.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nsm.h"

static void print_hex(const char *name, const uint8_t *data, size_t size) {
  printf("%s ", name);
  for (size_t i = 0; i < size; ++i) printf("%02x", data[i]);
  printf("\n");
}

static int fail(const char *what, ErrorCode code) {
  fprintf(stderr, "nsm-c: %s: error %d\n", what, (int)code);
  return 1;
}

int main(int argc, char **argv) {
  const char *nonce = argc > 1 ? argv[1] : "";
  const int32_t fd = nsm_lib_init();
  if (fd < 0) {
    fprintf(stderr, "nsm-c: no Nitro Secure Module here\n");
    return 1;
  }

  NsmDescription description;
  ErrorCode code = nsm_get_description(fd, &description);
  if (code != ERROR_CODE_SUCCESS) return fail("description", code);
  printf("module %.*s version %d.%d.%d\n", (int)description.module_id_len, (const char *)description.module_id,
         description.version_major, description.version_minor, description.version_patch);

  for (uint16_t index = 0; index < 5; ++index) {
    bool locked = false;
    uint8_t value[64];
    uint32_t size = sizeof value;
    code = nsm_describe_pcr(fd, index, &locked, value, &size);
    if (code != ERROR_CODE_SUCCESS) return fail("register", code);
    char name[32];
    snprintf(name, sizeof name, "PCR%u %s", (unsigned)index, locked ? "locked" : "open");
    print_hex(name, value, size);
  }

  static uint8_t document[16 * 1024];
  uint32_t size = sizeof document;
  code = nsm_get_attestation_doc(fd, NULL, 0, (const uint8_t *)nonce, (uint32_t)strlen(nonce), NULL, 0, document, &size);
  if (code != ERROR_CODE_SUCCESS) return fail("attestation", code);
  print_hex("document", document, size);

  // A locked register stays as it is.
  uint8_t value[64];
  uint32_t value_size = sizeof value;
  code = nsm_extend_pcr(fd, 0, (const uint8_t *)"x", 1, value, &value_size);
  printf("extending PCR0 gives error %d\n", (int)code);

  nsm_lib_exit(fd);
  fflush(stdout);
  return code == ERROR_CODE_SUCCESS;
}
