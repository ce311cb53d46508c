/* Text that must not stay in memory: passwords, tokens, headers made of them. */
#pragma once

#include <stdlib.h>
#include <string.h>

static inline void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static inline void secret_free_pointer(char **p)
{
	secret_free(*p);
}
#define auto_secret __attribute__((cleanup(secret_free_pointer))) char
