/*
 * Images of a registry opened lazily: what it costs, and what happens when the registry stalls,
 * does no ranges, or is away.  The registry is a layout served over HTTP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "image/lazy.h"
#include "image/rootfs-path.h"
#include "layer-image.h"
#include "net/http.h"
#include "script-server.h"

#define MIB (1024u * 1024)
#define SCRIPTS_MAX 32
#define STALL_MS 10
#define LATE_MAX_MS 10000

static struct scene {
	struct lab *lab;
	struct bytes text; /* what "text" in the image shall have */
	struct script scripts[SCRIPTS_MAX];
	struct script_server *server;
	struct http *http;
	char name[64];
	atomic_bool stalls; /* blobs wait until this is unset */
	atomic_bool no_ranges;
	atomic_bool late_config; /* the config waits for somebody to ask for a layer */
	atomic_bool no_config, config_was_first;
	_Atomic unsigned blobs;	 /* asked for */
	_Atomic unsigned layers; /* of them */
} scene;

/* --- the registry --- */

static bool say_file(struct script_client *client, const char *path, const char *media_type)
{
	auto_free char *data = NULL;
	size_t size = 0;
	unsigned long long first = 0, last;
	assert_int_equal(io_read_file(scene.lab->layout_fd, path, 64 * MIB, &data, &size, NULL), 0);
	last = size - 1;
	const char *range = strstr(client->request, "\r\nRange: bytes=");
	bool part = range && !scene.no_ranges &&
		    sscanf(range, "\r\nRange: bytes=%llu-%llu", &first, &last) == 2;
	auto_str head = STR_MAX(1024);
	str_addf(&head, "HTTP/1.1 %s\r\nContent-Length: %llu\r\nContent-Type: %s\r\n",
		 part ? "206 part" : "200 all", last + 1 - first, media_type);
	if (part)
		str_addf(&head, "Content-Range: bytes %llu-%llu/%zu\r\n", first, last, size);
	str_add(&head, "\r\n");
	return script_say(client, str_text(&head)) &&
	       script_send(client, data + first, (size_t)(last + 1 - first));
}

static bool serve_tag(struct script_client *client)
{
	auto_free char *text = NULL;
	size_t size;
	AUTO(json) json = NULL;
	assert_int_equal(io_read_file(scene.lab->layout_fd, "index.json", MIB, &text, &size, NULL),
			 0);
	assert_int_equal(json_parse(&json, text, size, 0, NULL), 0);
	const struct json_value *entry = json_at(json_get(json_root(json), "manifests"), 0);
	auto_str path = STR_MAX(200);
	str_addf(&path, "blobs/sha256/%s", json_string(json_get(entry, "digest")) + 7);
	return say_file(client, str_text(&path), "application/vnd.oci.image.manifest.v1+json");
}

/* Of a layout: "{" is how JSON begins, and no layer. */
static bool is_config(const char *path)
{
	char first = 0;
	auto_close int fd = openat(scene.lab->layout_fd, path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &first, 1), 1);
	return first == '{';
}

static void rest(void)
{
	nanosleep(&(const struct timespec){ .tv_nsec = STALL_MS * 1000000 }, NULL);
}

/* False: it was not served. */
static bool serve_config(struct script_client *client, const char *path)
{
	for (int i = 0; scene.late_config && scene.layers == 0 && i < LATE_MAX_MS; i += STALL_MS)
		rest();
	scene.config_was_first = scene.layers == 0;
	if (scene.no_config)
		return script_say(client, "HTTP/1.1 404 gone\r\nContent-Length: 0\r\n\r\n");
	return say_file(client, path, "application/octet-stream");
}

static bool serve_blob(struct script_client *client)
{
	char hex[65] = "";
	const char *digest = strstr(client->request, "sha256:");
	memcpy(hex, digest + 7, 64);
	auto_str path = STR_MAX(200);
	str_addf(&path, "blobs/sha256/%s", hex);
	scene.blobs++;
	while (scene.stalls)
		rest();
	if (is_config(str_text(&path)))
		return serve_config(client, str_text(&path));
	scene.layers++;
	return say_file(client, str_text(&path), "application/octet-stream");
}

static void list_scripts(void)
{
	size_t count = 0;
	auto_close int fd = openat(scene.lab->layout_fd, "blobs/sha256", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(TAKE_FD(fd));
	scene.scripts[count++] = (struct script){ mem_strdup("/v2/app/manifests/latest"),
						  serve_tag };
	for (const struct dirent *e; (e = readdir(dir)) && count + 1 < SCRIPTS_MAX;) {
		auto_str path = STR_MAX(200);
		str_addf(&path, "/v2/app/blobs/sha256:%s", e->d_name);
		if (e->d_name[0] != '.')
			scene.scripts[count++] = (struct script){ str_take(&path), serve_blob };
	}
	(void)closedir(dir);
}

/* --- the scene: one image of one layer --- */

static int scene_make_with(const char *const *annotations)
{
	void *lab = NULL;
	if (lab_make(&lab) < 0)
		return -1;
	memset(&scene, 0, sizeof(scene));
	scene.lab = lab;
	scene.text = bytes_text(7 * MIB, 5);
	auto_str tar = STR_MAX(TAR_BUILD_MAX_BYTES);
	add_bytes_file(&tar, "text", &scene.text);
	add_end(&tar);
	struct image_layer layer = image_layer_of(&tar, SQUEEZE_GZIP);
	write_layout(scene.lab->layout_fd, &layer, 1, annotations);
	image_layer_release(&layer);
	list_scripts();
	scene.server = script_start(scene.scripts);
	scene.server->hangs_up_on_tls = true;
	(void)snprintf(scene.name, sizeof(scene.name), "127.0.0.1:%u/app", scene.server->port);
	return http_new(&scene.http, NULL, NULL);
}

static int scene_make(void **state)
{
	(void)state;
	return scene_make_with(NULL);
}

/* It says that it has a table, and has none: who believes it asks for its end. */
static int scene_make_annotated(void **state)
{
	static const char *const toc =
		",\"annotations\":{\"containerd.io/snapshot/stargz/toc.digest\":\"sha256:"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}";
	(void)state;
	return scene_make_with(&toc);
}

static void stop_server(void)
{
	if (scene.server)
		script_stop(scene.server);
	scene.server = NULL;
}

static int scene_remove(void **state)
{
	void *lab = scene.lab;
	(void)state;
	scene.stalls = false;
	http_free(scene.http);
	stop_server();
	for (size_t i = 0; scene.scripts[i].path; i++)
		free((void *)(uintptr_t)scene.scripts[i].path);
	free(scene.text.data);
	return lab_remove(&lab);
}

static int try_open(struct lazy **lazy, unsigned read_timeout_ms, struct err *err)
{
	const struct lazy_options options = {
		.image.repo = { .http = scene.http, .insecure = true },
		.cache = scene.lab->cache,
		.least = TRUST_BOUND,
		.read_timeout_ms = read_timeout_ms,
	};
	auto_ref ref = { 0 };
	assert_int_equal(ref_parse(&ref, scene.name, NULL), 0);
	return lazy_open(lazy, &ref, &options, err);
}

static struct lazy *open_lazily(unsigned read_timeout_ms)
{
	struct lazy *lazy = NULL;
	struct err err = { 0 };
	int r = try_open(&lazy, read_timeout_ms, &err);
	if (r < 0)
		print_error("%s\n", err_text(&err));
	assert_int_equal(r, 0);
	return lazy;
}

static int read_text(struct lazy *lazy, uint64_t offset, size_t size)
{
	uint32_t inode;
	size_t got;
	auto_free uint8_t *buf = mem_new(size);
	assert_int_equal(rootfs_resolve(lazy_rootfs(lazy), "text", false, &inode, NULL), 0);
	int r = lazy_read(lazy, inode, buf, size, offset, &got, NULL);
	if (r == 0) {
		assert_int_equal(got, size);
		assert_memory_equal(buf, scene.text.data + offset, size);
	}
	return r;
}

static void forget_spans(void)
{
	uint64_t freed;
	assert_int_equal(cache_evict(scene.lab->cache, 0, &freed, NULL), 0);
}

/* --- tests --- */

static void test_second_time_costs_one_request(void **state)
{
	(void)state;
	uint64_t bytes, requests;
	struct lazy *lazy = open_lazily(0);
	lazy_open_cost(lazy, &bytes, &requests);
	assert_true(bytes > MIB);
	lazy_free(lazy);
	unsigned before = scene.server->requests;
	lazy = open_lazily(0);
	assert_int_equal(read_text(lazy, 12345, 3 * MIB), 0);
	lazy_open_cost(lazy, &bytes, &requests);
	/* "insecure" tries https before */
	assert_true(requests <= 2 && bytes < 2000);
	assert_in_range(scene.server->requests - before, 1, 2);
	lazy_free(lazy);
}

static void test_registry_that_is_away_is_not_missed(void **state)
{
	(void)state;
	lazy_free(open_lazily(0));
	stop_server();
	AUTO(lazy) lazy = open_lazily(0);
	assert_in_range(lazy_stale_since(lazy), time(NULL) - 60, time(NULL));
	assert_int_equal(read_text(lazy, 5 * MIB, MIB), 0);
}

static void test_registry_without_ranges(void **state)
{
	(void)state;
	AUTO(lazy) lazy = open_lazily(0);
	forget_spans();
	scene.no_ranges = true;
	assert_int_equal(read_text(lazy, 5 * MIB, MIB), 0);
	assert_int_equal(read_text(lazy, 100, 300000), 0);
}

static void test_read_ends_in_time_and_works_again(void **state)
{
	(void)state;
	AUTO(lazy) lazy = open_lazily(200);
	forget_spans();
	scene.stalls = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(read_text(lazy, 0, 3 * MIB), -ETIMEDOUT);
	scene.stalls = false;
	int r = -ETIMEDOUT; /* what still stalled may cost one more */
	for (int i = 0; i < 50 && r < 0; i++)
		r = read_text(lazy, 0, 3 * MIB);
	assert_int_equal(r, 0);
}

struct read_thread {
	struct lazy_request request;
	pthread_mutex_t mutex; /* guards code */
	int code;
};

static void note(struct lazy_request *request, int r, size_t got, const struct err *err)
{
	struct read_thread *t = (struct read_thread *)request;
	LOCKED(&t->mutex);
	(void)got;
	(void)err;
	assert_int_equal(t->code, 1); /* once */
	t->code = r;
}

/* Whoever waits is told, soon, although the server says nothing. */
static void test_free_ends_what_waits(void **state)
{
	(void)state;
	struct read_thread reads[4];
	uint32_t inode;
	size_t got;
	auto_free uint8_t *buf = mem_new(4 * MIB);
	struct lazy *lazy = open_lazily(0);
	forget_spans();
	scene.stalls = true;
	assert_int_equal(rootfs_resolve(lazy_rootfs(lazy), "text", false, &inode, NULL), 0);
	for (size_t i = 0; i < N_ELEMENTS(reads); i++) {
		reads[i] = (struct read_thread){ { note }, PTHREAD_MUTEX_INITIALIZER, 1 };
		assert_int_equal(lazy_read_start(lazy, &reads[i].request, inode, buf + i * MIB, MIB,
						 i * MIB, &got),
				 0);
	}
	time_t before = time(NULL);
	lazy_free(lazy);
	assert_in_range(time(NULL) - before, 0, 10);
	for (size_t i = 0; i < N_ELEMENTS(reads); i++)
		assert_int_equal(reads[i].code, -ECANCELED);
}

/* A round trip less: layers are asked for their tables while the config is on its way. */
static void test_tables_do_not_wait_for_the_config(void **state)
{
	(void)state;
	scene.late_config = true;
	AUTO(lazy) lazy = open_lazily(0);
	scene.late_config = false;
	assert_false(scene.config_was_first);
	assert_int_equal(read_text(lazy, 5 * MIB, MIB), 0);
}

static void test_without_its_config_there_is_no_image(void **state)
{
	(void)state;
	struct lazy *lazy = NULL;
	struct err err = { 0 };
	scene.late_config = scene.no_config = true;
	assert_int_equal(try_open(&lazy, 0, &err), -ENOENT);
	assert_non_null(strstr(err_text(&err), "config"));
	assert_null(lazy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_second_time_costs_one_request),
		TEST(test_registry_that_is_away_is_not_missed),
		TEST(test_registry_without_ranges),
		TEST(test_read_ends_in_time_and_works_again),
		TEST(test_free_ends_what_waits),
		cmocka_unit_test_setup_teardown(test_tables_do_not_wait_for_the_config,
						scene_make_annotated, scene_remove),
		cmocka_unit_test_setup_teardown(test_without_its_config_there_is_no_image,
						scene_make_annotated, scene_remove),
	};
	(void)setenv("ROOTLET_RETRY_BASE_MS", "1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
