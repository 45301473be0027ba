// SPDX-License-Identifier: Apache-2.0
// An enclave program that declares libnsm's C ABI for itself, as a program compiled elsewhere has it, and links with the
// shared library only. It listens on vsock port 7000; each connection is one line:
//   check        calls every function and prints one line a finding, then `done`
//   run PROGRAM ARGUMENTS...   runs a program with its output on the connection, then prints `status N`
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kSuccess, kInvalidArgument, kInvalidIndex, kInvalidResponse, kReadOnlyIndex, kInvalidOperation, kBufferTooSmall, kInputTooLarge, kInternalError };

struct description {
  uint16_t major, minor, patch;
  uint8_t module_id[100];
  uint32_t module_id_len;
  uint16_t max_pcrs;
  uint16_t locked_pcrs[64];
  uint32_t locked_pcrs_len;
  int digest;  // 0 SHA256, 1 SHA384, 2 SHA512
};

int32_t nsm_lib_init(void);
void nsm_lib_exit(int32_t fd);
int nsm_extend_pcr(int32_t fd, uint16_t index, const uint8_t *data, uint32_t data_len, uint8_t *pcr_data, uint32_t *pcr_data_len);
int nsm_describe_pcr(int32_t fd, uint16_t index, bool *lock, uint8_t *data, uint32_t *data_len);
int nsm_lock_pcr(int32_t fd, uint16_t index);
int nsm_lock_pcrs(int32_t fd, uint16_t range);
int nsm_get_description(int32_t fd, struct description *description);
int nsm_get_attestation_doc(int32_t fd, const uint8_t *user_data, uint32_t user_data_len, const uint8_t *nonce_data, uint32_t nonce_len,
                            const uint8_t *pub_key_data, uint32_t pub_key_len, uint8_t *att_doc_data, uint32_t *att_doc_len);
int nsm_get_random(int32_t fd, uint8_t *buf, uintptr_t *buf_len);

static FILE *out;

static void want(const char *what, long found, long wanted) {
  if (found == wanted) {
    fprintf(out, "ok %s\n", what);
  } else {
    fprintf(out, "WRONG %s: %ld, want %ld\n", what, found, wanted);
  }
}

static bool zero(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (data[i] != 0) return false;
  }
  return true;
}

static void check_registers(int32_t fd) {
  uint8_t value[64];
  uint8_t before[64];
  bool lock = false;
  for (uint16_t index = 0; index < 32; ++index) {
    uint32_t size = sizeof value;
    char name[64];
    snprintf(name, sizeof name, "describe PCR%u", (unsigned)index);
    want(name, nsm_describe_pcr(fd, index, &lock, value, &size), kSuccess);
    if (size != 48 || lock != (index < 16)) fprintf(out, "WRONG %s: %u bytes, lock %d\n", name, (unsigned)size, lock);
    const bool set = index == 0 || index == 1 || index == 2 || index == 3 || index == 4;
    if (set == zero(value, 48)) fprintf(out, "WRONG %s: %s\n", name, set ? "zero" : "not zero");
  }
  uint32_t size = sizeof value;
  want("describe PCR32", nsm_describe_pcr(fd, 32, &lock, value, &size), kInvalidIndex);
  want("extend PCR0", nsm_extend_pcr(fd, 0, (const uint8_t *)"x", 1, value, &size), kReadOnlyIndex);
  size = sizeof value;
  want("extend PCR16", nsm_extend_pcr(fd, 16, (const uint8_t *)"\1\2\3", 3, value, &size), kSuccess);
  // SHA-384 of 48 zero bytes and 01 02 03.
  want("value of PCR16", memcmp(value, "\xcb\x17\x8f\xcd\x3f\x32\x82\x44", 8), 0);
  memcpy(before, value, sizeof before);
  size = 10;
  want("extend into 10 bytes", nsm_extend_pcr(fd, 17, (const uint8_t *)"x", 1, value, &size), kBufferTooSmall);
  want("length of it", size, 10);
  want("extend with NULL data", nsm_extend_pcr(fd, 17, NULL, 0, value, &size), kInvalidArgument);
  size = 64;
  want("extend into NULL", nsm_extend_pcr(fd, 17, (const uint8_t *)"x", 1, NULL, &size), kBufferTooSmall);
  want("length of NULL", size, 0);
  static const uint8_t large[0x1000];
  size = sizeof value;
  want("extend by 4096 bytes", nsm_extend_pcr(fd, 17, large, sizeof large, value, &size), kInputTooLarge);
  size = sizeof value;
  want("extend by 4000 bytes", nsm_extend_pcr(fd, 17, large, 4000, value, &size), kSuccess);
  want("lock PCR15", nsm_lock_pcr(fd, 15), kReadOnlyIndex);
  want("lock PCR16", nsm_lock_pcr(fd, 16), kSuccess);
  want("lock PCR16 again", nsm_lock_pcr(fd, 16), kReadOnlyIndex);
  want("lock PCR32", nsm_lock_pcr(fd, 32), kInvalidIndex);
  want("lock 33 PCRs", nsm_lock_pcrs(fd, 33), kInvalidIndex);
  size = sizeof value;
  want("extend PCR16 locked", nsm_extend_pcr(fd, 16, (const uint8_t *)"x", 1, value, &size), kReadOnlyIndex);
  size = sizeof value;
  want("describe PCR16 locked", nsm_describe_pcr(fd, 16, &lock, value, &size), kSuccess);
  want("PCR16 is as it was", memcmp(value, before, 48), 0);
  want("PCR16 is locked", lock, true);
  want("lock 18 PCRs", nsm_lock_pcrs(fd, 18), kSuccess);
  want("lock 18 PCRs again", nsm_lock_pcrs(fd, 18), kSuccess);
}

static void check_module(int32_t fd) {
  struct description description;
  memset(&description, 0xaa, sizeof description);
  want("description", nsm_get_description(fd, &description), kSuccess);
  want("module_id ends in NUL", description.module_id[description.module_id_len], 0);
  want("module_id has 39 characters", (long)strlen((const char *)description.module_id), 39);
  want("max_pcrs", description.max_pcrs, 32);
  want("locked_pcrs", description.locked_pcrs_len, 18);
  want("last of locked_pcrs", description.locked_pcrs[17], 17);
  want("digest", description.digest, 1);
  want("description into NULL", nsm_get_description(fd, NULL), kInvalidArgument);
  fprintf(out, "module %s\n", (const char *)description.module_id);

  uint8_t first[300] = {0};
  uint8_t second[300] = {0};
  uintptr_t size = sizeof first;
  want("random", nsm_get_random(fd, first, &size), kSuccess);
  want("random bytes", (long)size, 256);
  size = sizeof second;
  want("random again", nsm_get_random(fd, second, &size), kSuccess);
  want("random differs", memcmp(first, second, 256) != 0, true);
  size = 7;
  want("random into 7 bytes", nsm_get_random(fd, first, &size), kSuccess);
  want("bytes of it", (long)size, 7);
  size = 0;
  want("random into nothing", nsm_get_random(fd, first, &size), kInvalidArgument);
  want("random of no device", nsm_get_random(-1, first, &size), kInvalidArgument);
}

static void check_documents(int32_t fd) {
  static uint8_t document[16384];
  static const uint8_t field[1024] = {1, 2, 3};
  uint32_t size = sizeof document;
  want("document without fields", nsm_get_attestation_doc(fd, NULL, 0, NULL, 0, NULL, 0, document, &size), kSuccess);
  want("it is untagged", document[0], 0x84);
  size = sizeof document;
  want("document with fields of 1024 bytes", nsm_get_attestation_doc(fd, field, 1024, field, 1024, field, 1024, document, &size), kSuccess);
  want("it is larger than its fields", size > 3 * 1024, true);
  size = sizeof document;
  want("document with empty fields", nsm_get_attestation_doc(fd, field, 0, field, 0, field, 0, document, &size), kSuccess);
  size = 100;
  want("document into 100 bytes", nsm_get_attestation_doc(fd, NULL, 0, NULL, 0, NULL, 0, document, &size), kBufferTooSmall);
  want("length of it", size, 100);
  static const uint8_t large[0x1000];
  size = sizeof document;
  want("document with 4096 bytes", nsm_get_attestation_doc(fd, large, sizeof large, NULL, 0, NULL, 0, document, &size), kInputTooLarge);
  want("document of no device", nsm_get_attestation_doc(-1, NULL, 0, NULL, 0, NULL, 0, document, &size), kInternalError);
}

struct raw {
  uint64_t request, request_length, response, response_length;
};

static int raw_call(int32_t fd, unsigned long command, const void *request, uint64_t request_length, void *response, uint64_t *response_length) {
  struct raw raw = {(uintptr_t)request, request_length, (uintptr_t)response, *response_length};
  const int status = ioctl(fd, command, &raw);
  *response_length = raw.response_length;
  return status == 0 ? 0 : errno;
}

static void check_driver(int32_t fd) {
  static uint8_t request[0x2000];
  uint8_t response[0x3000];
  const unsigned long command = 0xC0200A00;
  memcpy(request, "\x69GetRandom", 10);
  uint64_t size = sizeof response;
  want("ioctl", raw_call(fd, command, request, 10, response, &size), 0);
  want("length of the response", (long)size, 278);
  size = 5;
  want("ioctl into 5 bytes", raw_call(fd, command, request, 10, response, &size), 0);
  want("it is cut", (long)size, 5);
  size = sizeof response;
  want("ioctl of 0x1001 bytes", raw_call(fd, command, request, 0x1001, response, &size), EMSGSIZE);
  want("ioctl of 0x1000 bytes", raw_call(fd, command, request, 0x1000, response, &size), 0);
  want("answer to it", memcmp(response, "\xa1\x65" "Error\x70InvalidOperation", 7 + 17), 0);
  size = sizeof response;
  want("another command", raw_call(fd, 0xC0200A01, request, 10, response, &size), EINVAL);
  want("request at a bad address", raw_call(fd, command, (const void *)16, 10, response, &size), EFAULT);
  want("response at a bad address", raw_call(fd, command, request, 10, (void *)16, &size), EFAULT);
  want("arguments at a bad address", ioctl(fd, command, (void *)16) == -1 ? errno : 0, EFAULT);
  want("a closed descriptor", ioctl(99, command, request) == -1 ? errno : 0, EBADF);
}

static void *extend_often(void *argument) {
  const int32_t fd = nsm_lib_init();
  uint8_t document[16384];
  for (int i = 0; i < 20; ++i) {
    uint8_t value[64];
    uint32_t size = sizeof value;
    if (nsm_extend_pcr(fd, 20, (const uint8_t *)"x", 1, value, &size) != kSuccess) ++*(int *)argument;
    size = sizeof document;
    if (i % 5 == 0 && nsm_get_attestation_doc(fd, NULL, 0, NULL, 0, NULL, 0, document, &size) != kSuccess) ++*(int *)argument;
  }
  nsm_lib_exit(fd);
  return NULL;
}

// Four threads extend one register 20 times each: the value is that of 80 extensions in a row, of another register.
static void check_concurrency(int32_t fd) {
  pthread_t threads[4];
  int failures[4] = {0};
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, extend_often, &failures[i]);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  want("failures of concurrent callers", failures[0] + failures[1] + failures[2] + failures[3], 0);
  uint8_t together[64];
  uint8_t apart[64];
  uint32_t size = 0;
  for (int i = 0; i < 80; ++i) {
    size = sizeof apart;
    nsm_extend_pcr(fd, 21, (const uint8_t *)"x", 1, apart, &size);
  }
  bool lock = false;
  size = sizeof together;
  nsm_describe_pcr(fd, 20, &lock, together, &size);
  want("no extension was lost", memcmp(together, apart, 48), 0);
}

static void check(void) {
  const int32_t fd = nsm_lib_init();
  want("init", fd >= 0, true);
  check_registers(fd);
  check_module(fd);
  check_documents(fd);
  check_driver(fd);
  check_concurrency(fd);
  nsm_lib_exit(fd);
  uint8_t byte;
  uintptr_t size = 1;
  want("random after exit", nsm_get_random(fd, &byte, &size), kInternalError);
  fprintf(out, "done\n");
}

static void run(int connection, char *line) {
  char *words[64];
  int count = 0;
  for (char *word = strtok(line, " "); word != NULL && count < 63; word = strtok(NULL, " ")) words[count++] = word;
  words[count] = NULL;
  const pid_t child = fork();
  if (child == 0) {
    dup2(connection, 1);
    dup2(connection, 2);
    execv(words[0], words);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  fprintf(out, "status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void) {
  const int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = 7000, .svm_cid = VMADDR_CID_ANY};
  if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4) != 0) {
    perror("vsock");
    return 1;
  }
  for (;;) {
    const int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    out = fdopen(connection, "r+");
    char line[4096];
    if (fgets(line, sizeof line, out) != NULL) {
      line[strcspn(line, "\n")] = 0;
      fseek(out, 0, SEEK_CUR);
      if (strcmp(line, "check") == 0) check();
      if (strncmp(line, "run ", 4) == 0) run(connection, line + 4);
    }
    fclose(out);
  }
}
