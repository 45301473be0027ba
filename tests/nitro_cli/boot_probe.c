// SPDX-License-Identifier: Apache-2.0
// An init that says what the kernel unpacked from the ramdisks. usage: as /init; the files to look at are in /cmd.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
  mount("dev", "/dev", "devtmpfs", 0, NULL);
  const int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) dup2(console, fd);
  FILE* list = fopen("/cmd", "re");
  char line[1024];
  while (list != NULL && fgets(line, sizeof line, list) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char path[1100];
    snprintf(path, sizeof path, "/rootfs%s", line);
    struct stat status;
    if (lstat(path, &status) != 0) {
      printf("probe: %s absent\n", line);
      continue;
    }
    char target[256] = "";
    if (S_ISLNK(status.st_mode) && readlink(path, target, sizeof target - 1) < 0) return 1;
    printf("probe: %s mode %o owner %u:%u size %lld time %lld %s\n", line, status.st_mode, status.st_uid, status.st_gid,
           (long long)status.st_size, (long long)status.st_mtime, target);
  }
  printf("probe: done\n");
  fflush(stdout);
  sleep(1);
  reboot(RB_POWER_OFF);
  return 0;
}
