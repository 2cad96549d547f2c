/*
 * What the start code of FreeBSD 13 did itself. That of 14, which is the only one that Zig brings, calls it in libc by a
 * name that libc has since 14.0 (FBSD_1.7): with this in its place, one program runs on 13 and on everything newer.
 * For programs that are linked dynamically; rtld has run the initialisers by then.
 */
#include <stdlib.h>
#include <string.h>

extern char **environ;
extern const char *__progname;

__attribute__((visibility("hidden"))) void __libc_start1(int argc, char **argv, char **env, void (*cleanup)(void),
    int (*start)(int, char **, char **))
{
	const char *slash;

	if (environ == NULL)
		environ = env;
	if (argc > 0 && argv[0] != NULL) {
		slash = strrchr(argv[0], '/');
		__progname = slash != NULL ? slash + 1 : argv[0];
	}
	if (cleanup != NULL)
		atexit(cleanup);
	exit(start(argc, argv, env));
}
