/*
 * The cache: where it is, what may be written, and how its entries are called.
 *
 * The rest of the folder stands on this: cache-dir.c makes and checks the directories,
 * cache-files.c keeps small files, spans.c the bytes of layers, evict.c the quota, list.c shows it
 * all.
 */
#include "cache/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/io.h"
#include "base/siphash.h"
#include "base/str.h"
#include "cache/cache-internal.h"

#define QUOTA_MAX_BYTES (UINT64_C(10) << 30)
#define CHECK_MAX_BYTES (UINT64_C(64) << 20)
#define CHECK_FIRST_BYTES ((uint64_t)16 << 10) /* not above the least: */
#define CHECK_MIN_BYTES (UINT64_C(64) << 10)

/* ---- where */

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] != '\0' ? value : NULL;
}

static char *path_in(const char *directory, const char *name)
{
	struct str path = STR_MAX(64u * 1024);
	str_addf(&path, "%s/%s", directory, name);
	return str_take(&path);
}

static int choose_path(char **out, const char *asked, struct err *err)
{
	const char *told = asked ? asked : variable("ROOTLET_CACHE");
	const char *xdg = variable("XDG_CACHE_HOME"), *home = variable("HOME");
	if (told)
		*out = mem_strdup(told);
	else if (geteuid() == 0)
		*out = mem_strdup("/var/cache/rootlet");
	else if (xdg && xdg[0] == '/')
		*out = path_in(xdg, "rootlet");
	else if (home && home[0] == '/')
		*out = path_in(home, ".cache/rootlet");
	else
		return err_set(err, EINVAL, "no place for a cache: set ROOTLET_CACHE or HOME");
	/* "dir/" would follow a symbolic link that "dir" is */
	for (size_t n = strlen(*out); n > 1 && (*out)[n - 1] == '/'; n--)
		(*out)[n - 1] = '\0';
	if ((*out)[0] != '\0')
		return 0;
	mem_free_pointer(out);
	*out = NULL;
	return err_set(err, EINVAL, "the cache directory's name is empty");
}

/* ---- opening */

/* Which start of the machine this is; without /proc each process is one of its own. */
static uint32_t boot_now(void)
{
	auto_free char *text = NULL;
	size_t size = 0;
	uint64_t hash;
	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &text, &size, NULL) == 0)
		hash = siphash_keyed(text, size, 3, 1, 1, 3);
	else
		hash = siphash("boot", 4);
	uint32_t boot = (uint32_t)(hash ^ hash >> 32);
	return boot ? boot : 1;
}

void cache_set_boot(struct cache *cache, uint32_t boot)
{
	cache->boot = boot;
}

static uint64_t quota_of(const struct cache *cache, uint64_t asked)
{
	struct statvfs fs;
	if (asked)
		return asked;
	if (cache->root < 0 || fstatvfs(cache->root, &fs) < 0)
		return QUOTA_MAX_BYTES;
	uint64_t tenth = fs.f_blocks * (uint64_t)fs.f_frsize / 10;
	return tenth < QUOTA_MAX_BYTES ? tenth : QUOTA_MAX_BYTES;
}

static uint64_t check_of(uint64_t quota)
{
	uint64_t part = quota / 64;
	if (part > CHECK_MAX_BYTES)
		return CHECK_MAX_BYTES;
	return part < CHECK_MIN_BYTES ? CHECK_MIN_BYTES : part;
}

int cache_open(struct cache **out, const struct cache_options *options, struct err *err)
{
	AUTO(cache) cache = mem_make(struct cache, .root = -1, .dir = -1, .layers = -1, .tmp = -1);
	for (size_t i = 0; i < CACHE_KINDS; i++)
		cache->kinds[i] = -1;
	(void)pthread_mutex_init(&cache->mutex, NULL);
	cache->boot = boot_now();
	int r = choose_path(&cache->path, options->path, err);
	if (r == 0 && options->existing && access(cache->path, F_OK) < 0)
		r = err_sys(err, "open cache '%s'", esc(cache->path));
	if (r == 0)
		r = cache_dirs_open(cache, err);
	if (r < 0)
		return r;
	cache->quota_bytes = quota_of(cache, options->size_bytes);
	cache->check_bytes = check_of(cache->quota_bytes);
	/* soon after the first bytes the usage is looked at, but not for a name or a manifest */
	atomic_store(&cache->written, cache->check_bytes - CHECK_FIRST_BYTES);
	*out = TAKE(cache);
	return 0;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	cache_dirs_close(cache);
	(void)pthread_mutex_destroy(&cache->mutex);
	free(cache->path);
	free(cache);
}

const char *cache_path(const struct cache *cache)
{
	return cache->path;
}

/* ---- trouble */

bool cache_writable(const struct cache *cache)
{
	return !atomic_load_explicit(&cache->off, memory_order_acquire);
}

const char *cache_trouble(const struct cache *cache)
{
	return cache_writable(cache) ? "" : cache->trouble;
}

/* Not the disk's fault, or over soon. */
static bool passing(int code)
{
	switch (code) {
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EINTR:
	case EAGAIN:
	case EEXIST:
	case ENOTEMPTY:
	case ENOENT:
	case EFBIG:
	case E2BIG:
	case EBADMSG:
	case ENOTDIR:
	case EINVAL:
		return true;
	default:
		return false;
	}
}

int cache_fail(struct cache *cache, int r)
{
	if (r >= 0 || passing(-r))
		return r;
	LOCKED(&cache->mutex);
	if (!cache_writable(cache))
		return r;
	struct err text = { 0 };
	(void)err_errno(&text, -r, "%s", "");
	/* ": No space left on device", as err_errno puts it */
	const char *why = text.text + strspn(text.text, ": ");
	(void)snprintf(cache->trouble, sizeof(cache->trouble), "%s", why);
	if (cache->trouble[0] >= 'A' && cache->trouble[0] <= 'Z')
		cache->trouble[0] = (char)(cache->trouble[0] + ('a' - 'A'));
	atomic_store_explicit(&cache->off, true, memory_order_release);
	return r;
}

/* ---- names */

struct cache_name cache_name_of(const struct digest *digest)
{
	struct cache_name name;
	(void)snprintf(name.text, sizeof(name.text), "%s-%s", digest_algorithm_name(digest),
		       digest_hex(digest).text);
	return name;
}

bool cache_name_parse(struct digest *out, const char *name)
{
	char text[CACHE_NAME_MAX];
	size_t n = strlen(name);
	if (n >= sizeof(text))
		return false;
	memcpy(text, name, n + 1);
	char *dash = strchr(text, '-');
	if (!dash)
		return false;
	*dash = ':';
	return digest_parse(out, text, NULL) == 0;
}

struct cache_name cache_layer_name(const struct digest *digest, uint64_t layout)
{
	struct cache_name name;
	(void)snprintf(name.text, sizeof(name.text), "%s-%s.%016llx", digest_algorithm_name(digest),
		       digest_hex(digest).text, (unsigned long long)layout);
	return name;
}

bool cache_layer_name_parse(struct digest *out, uint64_t *layout, const char *name)
{
	char text[CACHE_NAME_MAX];
	const char *dot = strchr(name, '.');
	if (!dot || (size_t)(dot - name) >= sizeof(text))
		return false;
	memcpy(text, name, (size_t)(dot - name));
	text[dot - name] = '\0';
	struct digest digest;
	if (!cache_name_parse(&digest, text))
		return false;
	uint64_t value = strtoull(dot + 1, NULL, 16);
	/* only the one way we write it */
	if (!str_equal(name, cache_layer_name(&digest, value).text))
		return false;
	*out = digest;
	*layout = value;
	return true;
}
