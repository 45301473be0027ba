// SPDX-License-Identifier: Apache-2.0
// nsm.h is C, its layout is AWS's, and calls without a device fail as documented.
#include <stddef.h>
#include <stdio.h>

#include "nsm.h"

_Static_assert(offsetof(NsmDescription, module_id) == 6, "layout");
_Static_assert(offsetof(NsmDescription, module_id_len) == 108, "layout");
_Static_assert(offsetof(NsmDescription, locked_pcrs) == 114, "layout");
_Static_assert(offsetof(NsmDescription, locked_pcrs_len) == 244, "layout");
_Static_assert(sizeof(NsmDescription) == 252, "layout");

int main(void) {
  uint8_t buffer[16];
  uintptr_t size = sizeof buffer;
  NsmDescription description;
  int failures = 0;
  failures += nsm_get_random(-1, buffer, &size) != ERROR_CODE_INVALID_ARGUMENT;
  failures += nsm_lock_pcr(-1, 16) != ERROR_CODE_INTERNAL_ERROR;
  failures += nsm_extend_pcr(-1, 16, NULL, 0, NULL, NULL) != ERROR_CODE_INVALID_ARGUMENT;
  failures += nsm_get_description(-1, &description) != ERROR_CODE_INTERNAL_ERROR;
  printf("%d failures\n", failures);
  return failures != 0;
}
