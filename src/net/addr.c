/*
 * Addresses as numbers.  One table per family says what is not public; an IPv6 address that carries
 * an IPv4 one is judged by what it carries.  Called by url.c for literals and by the socket
 * callback for what a name resolved to.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct block4 {
	uint32_t network;
	unsigned bits;
};

static bool is_private4(uint32_t address)
{
	static const struct block4 blocks[] = {
		{ 0x00000000, 8 },  /* 0/8, this network */
		{ 0x0a000000, 8 },  /* 10/8 */
		{ 0x64400000, 10 }, /* 100.64/10, CGNAT */
		{ 0x7f000000, 8 },  /* 127/8 */
		{ 0xa9fe0000, 16 }, /* 169.254/16, link-local: cloud metadata */
		{ 0xac100000, 12 }, /* 172.16/12 */
		{ 0xc0000000, 24 }, /* 192.0.0/24, protocol assignments */
		{ 0xc0a80000, 16 }, /* 192.168/16 */
		{ 0xe0000000, 4 },  /* 224/4, multicast */
		{ 0xf0000000, 4 },  /* 240/4, reserved and broadcast */
	};
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if ((address ^ blocks[i].network) >> (32 - blocks[i].bits) == 0)
			return true;
	}
	return false;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* IPv6 prefixes: private as such, or with an IPv4 address at byte "inner". */
struct block6 {
	uint8_t prefix[12];
	unsigned bits;
	unsigned inner; /* 0: none */
	uint32_t mask;	/* the inner address is stored XORed with it */
};

static bool starts6(const uint8_t *a, const struct block6 *block)
{
	size_t bytes = block->bits / 8;
	if (memcmp(a, block->prefix, bytes) != 0)
		return false;
	unsigned rest = block->bits % 8;
	return rest == 0 || ((a[bytes] ^ block->prefix[bytes]) >> (8 - rest)) == 0;
}

static bool is_private6(const uint8_t *a)
{
	static const struct block6 blocks[] = {
		{ { 0xfe, 0x80 }, 10, 0, 0 },		       /* link-local */
		{ { 0xfe, 0xc0 }, 10, 0, 0 },		       /* site-local, deprecated */
		{ { 0xfc }, 7, 0, 0 },			       /* unique local */
		{ { 0xff }, 8, 0, 0 },			       /* multicast */
		{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, 0, 0 },   /* local NAT64, RFC 8215 */
		{ { 0, 0x64, 0xff, 0x9b }, 96, 12, 0 },	       /* NAT64, RFC 6052 */
		{ { 0 }, 96, 12, 0 },			       /* ::, ::1, v4-compatible */
		{ { [10] = 0xff, 0xff }, 96, 12, 0 },	       /* v4-mapped */
		{ { [8] = 0xff, 0xff }, 96, 12, 0 },	       /* v4-translated, RFC 7915 */
		{ { 0x20, 0x02 }, 16, 2, 0 },		       /* 6to4 */
		{ { 0x20, 0x01, 0, 0 }, 32, 12, 0xffffffffu }, /* Teredo, RFC 4380 */
	};
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		const struct block6 *block = &blocks[i];
		if (starts6(a, block))
			return block->inner == 0 ||
			       is_private4(be32(a + block->inner) ^ block->mask);
	}
	return false;
}

bool addr_is_private(const struct sockaddr *addr, size_t size)
{
	if (addr->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;
		memcpy(&in, addr, sizeof(in));
		return is_private4(ntohl(in.sin_addr.s_addr));
	}
	if (addr->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in6;
		memcpy(&in6, addr, sizeof(in6));
		return is_private6(in6.sin6_addr.s6_addr);
	}
	return true; /* a socket file, or what we do not know */
}

static bool parse4(struct sockaddr_storage *out, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	/* inet_aton stops at white space and ignores what follows */
	if (text[strcspn(text, " \t\r\n\v\f")] != '\0' || !inet_aton(text, &in.sin_addr))
		return false;
	*out = (struct sockaddr_storage){ 0 };
	memcpy(out, &in, sizeof(in));
	return true;
}

static bool parse6(struct sockaddr_storage *out, const char *text)
{
	char plain[INET6_ADDRSTRLEN] = "";
	size_t length = strcspn(text, "%");
	if (length >= sizeof(plain))
		return false;
	memcpy(plain, text, length);
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET6, plain, &in6.sin6_addr) != 1)
		return false;
	*out = (struct sockaddr_storage){ 0 };
	memcpy(out, &in6, sizeof(in6));
	return true;
}

bool addr_parse(struct sockaddr_storage *out, const char *text)
{
	return parse4(out, text) || parse6(out, text);
}

struct addr_text addr_show(const struct sockaddr *addr, size_t size)
{
	struct addr_text out = { "(unknown)" };
	if (addr->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;
		memcpy(&in, addr, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, out.text, sizeof(out.text));
	} else if (addr->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in6;
		memcpy(&in6, addr, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, out.text, sizeof(out.text));
	}
	return out;
}
