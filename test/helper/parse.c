/* Reads cases from its input (u32 length, bytes), gives each to the parser of programs and to a reader that takes every
 * kind of field in turn, and prints how many programs were accepted. Built with the sanitizers by parse.test.ts. */
#include <stdio.h>
#include <stdlib.h>

#include "../../helper/init.h"
#include "../../helper/program.h"

static void read_fields(const uint8_t *bytes, size_t length) {
  struct reader r = {bytes, bytes + length, false};
  uint32_t count;
  for (unsigned turn = 0; !r.bad && r.at < r.end; turn++) {
    switch (turn % 6) {
      case 0: take_u8(&r); break;
      case 1: take_u32(&r); break;
      case 2: take_u64(&r); break;
      case 3: take_bytes(&r, &count); break;
      case 4: take_string(&r); break;
      case 5: free(take_strings(&r, &count)); break;
    }
  }
}

int main(void) {
  unsigned accepted = 0, cases = 0;
  uint32_t length;
  while (fread(&length, sizeof length, 1, stdin) == 1) {
    /* Exactly as long as the case: the sanitizer sees the first byte that is read behind it. */
    uint8_t *bytes = malloc(length);
    if (length && fread(bytes, length, 1, stdin) != 1) return 2;
    struct program program = {0};
    if (!parse_program(bytes, length, &program)) {
      accepted++;
      free_program(&program);
    }
    read_fields(bytes, length);
    free(bytes);
    cases++;
  }
  printf("%u %u\n", cases, accepted);
  return 0;
}
