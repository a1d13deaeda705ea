/* Linked into builds of the helper with the sanitizers: it is started without an environment, so that their options are
 * here, and with its output closed, so that they write to files. REPORTS is a path that the build gives. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) { return "detect_leaks=0:exitcode=99:log_path=" REPORTS; }
const char *__ubsan_default_options(void) { return "halt_on_error=1:exitcode=99:log_path=" REPORTS; }
