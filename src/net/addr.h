/*
 * Which addresses only mean something inside a machine or a site: loopback, link-local, private,
 * CGNAT, unspecified, multicast and reserved, and the same wrapped in IPv6 (v4-mapped,
 * v4-compatible, NAT64, 6to4, Teredo).  IANA special-purpose registries, RFC 6890.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX_BYTES 64

bool addr_is_private(const struct sockaddr *addr, size_t size);

/*
 * Read an address literal as getaddrinfo would: IPv4 also as 127.1, 0x7f000001 or 2130706433; IPv6
 * with or without a zone.  False when TEXT is a name.
 */
bool addr_parse(struct sockaddr_storage *out, const char *text);

struct addr_text {
	char text[ADDR_TEXT_MAX_BYTES];
};
/* The address for a message: addr_show(addr).text lives as long as the expression. */
struct addr_text addr_show(const struct sockaddr *addr, size_t size);
