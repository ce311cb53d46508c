/* OCI layouts in a directory: which image is meant, and that only its own bytes are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "image-build.h"
#include "oci/repo.h"

static const char *const ONE[] = { "layer one", NULL };
static const char *const TWO[] = { "layer one", "layer two", NULL };

/* Open PLACE as a layout. */
static int open_place(struct repo **out, const struct place *place, struct err *err)
{
	struct ref ref = { .kind = REF_OCI, .path = mem_strdup(place->path) };
	int r = repo_open(out, &ref, &(const struct repo_options){ 0 }, err);
	ref_release(&ref);
	return r;
}

static int resolve(struct repo *repo, const char *tag, struct document *out, struct err *err)
{
	auto_ref ref = { .kind = REF_OCI, .tag = mem_strdup(tag) };
	return repo_resolve(repo, &ref, out, err);
}

/* A layout of one image called NAME, or of no name. */
static char *write_image(struct place *place, const char *name)
{
	auto_files files = { .count = 0 };
	char *manifest = files_add_image(&files, TWO);
	auto_free char *more = name ? named(name) : mem_strdup("");
	auto_free char *entry = describe(MEDIA_OCI_MANIFEST, manifest, more);
	auto_free char *index = make_index((const char *const[]){ entry, NULL });
	files_add_layout(&files, index);
	files_add(&files, "single-image-digest", "sha256:whatever");
	files_write(&files, place->fd);
	return manifest;
}

static void test_the_only_image_is_read(void **state)
{
	auto_free char *bytes = write_image(*state, NULL);
	AUTO(repo) repo = NULL;
	auto_document document = { 0 };
	auto_manifest manifest = { 0 };
	assert_int_equal(open_place(&repo, *state, NULL), 0);
	assert_int_equal(resolve(repo, NULL, &document, NULL), 0);
	assert_string_equal(document.bytes, bytes);
	assert_string_equal(document.descriptor.media_type, MEDIA_OCI_MANIFEST);
	assert_string_equal(digest_show(&document.descriptor.digest), digest_text_of(bytes).text);

	assert_int_equal(manifest_parse(&manifest, document.descriptor.media_type, document.bytes,
					document.size, NULL),
			 0);
	AUTO(stream) stream = NULL;
	auto_free char *layer = NULL, *config = NULL;
	size_t size = 0;
	assert_int_equal(repo_blob(repo, &manifest.layers[1], 0, &stream, NULL), 0);
	assert_int_equal(stream_read_all(stream, 100, &layer, &size, NULL), 0);
	assert_string_equal(layer, "layer two");
	AUTO(stream) part = NULL;
	AUTO(input) input = repo_input(repo, &manifest.layers[1]);
	auto_free char *two = NULL;
	char three[3] = { 0 };
	assert_int_equal(repo_range(repo, &manifest.layers[1], 6, 3, 0, &part, NULL), 0);
	assert_int_equal(stream_read_all(part, 100, &two, &size, NULL), 0);
	assert_string_equal(two, "two");
	assert_int_equal(input_read(input, three, 3, 6, NULL), 0);
	assert_memory_equal(three, "two", 3);
	assert_int_equal(repo_blob_bytes(repo, &manifest.config, 4096, &config, &size, NULL), 0);
	assert_int_equal(size, manifest.config.size);
	assert_int_equal(repo_blob_bytes(repo, &manifest.config, 20, &config, &size, NULL), -E2BIG);
}

static void test_head_names_without_reading(void **state)
{
	auto_free char *bytes = write_image(*state, "v1");
	AUTO(repo) repo = NULL;
	auto_ref ref = { .kind = REF_OCI, .tag = mem_strdup("v1") };
	auto_descriptor d = { 0 };
	assert_int_equal(open_place(&repo, *state, NULL), 0);
	assert_int_equal(repo_head(repo, &ref, &d, NULL), 0);
	assert_string_equal(digest_show(&d.digest), digest_text_of(bytes).text);
}

/* index.json with an image for each name; "#x" is an artifact, "=x" the other image. */
static void write_names(struct place *place, const char *const *names)
{
	auto_files files = { .count = 0 };
	auto_free char *one = files_add_image(&files, ONE), *two = files_add_image(&files, TWO);
	char *entries[40] = { NULL };
	for (size_t i = 0; names[i]; i++) {
		auto_str more = STR_MAX(4096);
		const char *name = names[i] + strspn(names[i], "#=");
		auto_free char *annotation = named(name);
		str_add(&more, names[i][0] == '#' ? ",\"artifactType\":\"x\"" : "");
		str_add(&more, *name ? annotation : "");
		entries[i] = describe(MEDIA_OCI_MANIFEST, names[i][0] == '=' ? two : one,
				      str_text(&more));
	}
	auto_free char *index = make_index((const char *const *)entries);
	files_add_layout(&files, index);
	files_write(&files, place->fd);
	for (size_t i = 0; entries[i]; i++)
		free(entries[i]);
}

static void test_tags_choose(void **state)
{
	static const struct {
		const char *names[30], *tag;
		int code; /* 0: found, the other image with two */
		bool two;
		const char *says;
	} cases[] = {
		{ { "a", "=b" }, "b", 0, true, NULL },
		{ { "a", "=b" }, "a", 0, false, NULL },
		{ { "a", "=b" }, "c", ENOENT, false, "tagged 'c'; there are: 'a', 'b'" },
		{ { "a", "=b" },
		  NULL,
		  ENOENT,
		  false,
		  "2 images and no tag to choose by; there are: "
		  "'a', 'b'" },
		{ { "", "=" }, NULL, ENOENT, false, "none with a name" },
		{ { "a\\u001b" }, "x", ENOENT, false, "'a\\x1b'" },
		{ { "#a", "=" }, NULL, 0, true, NULL },
		{ { "#a" }, NULL, ENOENT, false, "names no image" },
		{ { NULL }, NULL, ENOENT, false, "names no image" },
		{ { "h/n:a", "=h/n:b" }, "b", 0, true, NULL },
		{ { "h/n:b", "=b" }, "b", 0, true, NULL },
		{ { "a", "a" }, "a", 0, false, NULL },
		{ { "a", "=a" }, "a", EINVAL, false, "different images are tagged 'a'" },
		{ { "h/n:a", "=m/o:a" }, "a", EINVAL, false, "different images" },
		{ { "1",  "2",	"3",  "4",  "5",  "6",	"7",  "8",  "9",  "10", "11",
		    "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22" },
		  "x",
		  ENOENT,
		  false,
		  "'20', ..." },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		AUTO(repo) repo = NULL;
		auto_document document = { 0 };
		struct err err = { 0 };
		write_names(*state, cases[i].names);
		assert_int_equal(open_place(&repo, *state, &err), 0);
		int r = resolve(repo, cases[i].tag, &document, &err);
		if (r != -cases[i].code || (r < 0 && !strstr(err_text(&err), cases[i].says)))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
		if (r == 0) {
			bool two = strstr(document.bytes, digest_text_of("layer two").text);
			assert_int_equal(two, cases[i].two);
		}
	}
}

static void test_a_digest_chooses(void **state)
{
	static const char *const names[] = { "a", "=b", NULL };
	write_names(*state, names);
	AUTO(repo) repo = NULL;
	auto_document document = { 0 }, by_digest = { 0 };
	assert_int_equal(open_place(&repo, *state, NULL), 0);
	assert_int_equal(resolve(repo, "b", &document, NULL), 0);
	struct ref ref = { .kind = REF_OCI, .digest = document.descriptor.digest };
	assert_int_equal(repo_resolve(repo, &ref, &by_digest, NULL), 0);
	assert_string_equal(by_digest.bytes, document.bytes);
	ref.digest.bytes[3] ^= 1;
	struct document none;
	assert_int_equal(repo_resolve(repo, &ref, &none, NULL), -ENOENT);
}

static void test_opening_refuses(void **state)
{
	struct place *place = *state;
	static const struct {
		const char *version, *index;
		int code;
		const char *says;
	} cases[] = {
		{ NULL, "{}", ENOENT, "no file 'oci-layout'" },
		{ "{}", "{}", EBADMSG, "'imageLayoutVersion'" },
		{ "{\"imageLayoutVersion\":1}", "{}", EBADMSG, "'imageLayoutVersion'" },
		{ "{\"imageLayoutVersion\":\"99.0.0\"}", "{}", EOPNOTSUPP, "'99.0.0'" },
		{ "x", "{}", EBADMSG, "oci-layout" },
		{ "{\"imageLayoutVersion\":\"1.1.0\"}", NULL, ENOENT, "index.json" },
		{ "{\"imageLayoutVersion\":\"1.1.0\"}", "{}", EBADMSG, "index.json" },
		{ "{\"imageLayoutVersion\":\"1.1.0\"}", "{\"schemaVersion\":2,\"layers\":[]}",
		  EBADMSG, "without 'manifests'" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_files files = { .count = 0 };
		AUTO(repo) repo = NULL;
		struct err err = { 0 };
		(void)unlinkat(place->fd, "oci-layout", 0);
		(void)unlinkat(place->fd, "index.json", 0);
		if (cases[i].version)
			files_add(&files, "oci-layout", cases[i].version);
		if (cases[i].index)
			files_add(&files, "index.json", cases[i].index);
		files_write(&files, place->fd);
		int r = open_place(&repo, place, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
	}
}

static void test_a_file_is_no_layout(void **state)
{
	struct place *place = *state, file;
	AUTO(repo) repo = NULL;
	struct err err = { 0 };
	assert_int_equal(io_write_file(place->fd, "f", "", 0, 0600, NULL), 0);
	(void)snprintf(file.path, sizeof(file.path), "%.28s/f", place->path);
	assert_int_equal(open_place(&repo, &file, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "oci-archive:FILE"));
	(void)snprintf(file.path, sizeof(file.path), "%.28s/n", place->path);
	assert_int_equal(open_place(&repo, &file, &err), -ENOENT);
}

/* What may be wrong with the blob of a layer, and what reading it then says. */
enum flaw { FLAW_MISSING, FLAW_LONG, FLAW_SHORT, FLAW_LINK, FLAW_FIFO, FLAW_DIRECTORY };

static void damage(struct place *place, const char *data, enum flaw flaw)
{
	auto_free char *path = blob_path(data);
	assert_int_equal(unlinkat(place->fd, path, 0), 0);
	int r = 0;
	auto_close int fd = -1;
	if (flaw == FLAW_LONG || flaw == FLAW_SHORT) {
		fd = openat(place->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		r = io_write_all(fd, "layer two and more", flaw == FLAW_LONG ? 18 : 5, NULL);
	} else if (flaw == FLAW_LINK) {
		r = symlinkat("/etc/passwd", place->fd, path);
	} else if (flaw == FLAW_FIFO) {
		r = mkfifoat(place->fd, path, 0600);
	} else if (flaw == FLAW_DIRECTORY) {
		r = mkdirat(place->fd, path, 0700);
	}
	assert_int_equal(r, 0);
}

static void test_only_regular_files_of_the_right_size_are_blobs(void **state)
{
	struct place *place = *state;
	static const struct {
		enum flaw flaw;
		int code;
		const char *says;
	} cases[] = {
		{ FLAW_MISSING, ENOENT, "No such file" },
		{ FLAW_LONG, EBADMSG, "has 18 bytes, its descriptor says 9" },
		{ FLAW_SHORT, EBADMSG, "has 5 bytes" },
		{ FLAW_LINK, ELOOP, "symbolic link" },
		{ FLAW_FIFO, EBADMSG, "not a regular file" },
		{ FLAW_DIRECTORY, EBADMSG, "not a regular file" },
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_free char *bytes = write_image(place, NULL);
		AUTO(repo) repo = NULL;
		AUTO(stream) stream = NULL;
		auto_document document = { 0 };
		auto_manifest manifest = { 0 };
		assert_int_equal(open_place(&repo, place, NULL), 0);
		assert_int_equal(resolve(repo, NULL, &document, NULL), 0);
		assert_int_equal(manifest_parse(&manifest, NULL, bytes, strlen(bytes), NULL), 0);
		damage(place, TWO[1], cases[i].flaw);
		struct err err = { 0 };
		int r = repo_blob(repo, &manifest.layers[1], 0, &stream, &err);
		if (r != -cases[i].code || !strstr(err_text(&err), cases[i].says))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
		AUTO(input) input = repo_input(repo, &manifest.layers[1]);
		char byte;
		assert_int_equal(repo_range(repo, &manifest.layers[1], 0, 1, 0, &stream, NULL), r);
		assert_int_equal(input_read(input, &byte, 1, 0, NULL), r);
		assert_null(stream);
		auto_free char *path = blob_path(TWO[1]);
		(void)unlinkat(place->fd, path, cases[i].flaw == FLAW_DIRECTORY ? AT_REMOVEDIR : 0);
	}
}

static void test_a_linked_blobs_directory_is_refused(void **state)
{
	struct place *place = *state;
	free(write_image(place, NULL));
	AUTO(repo) repo = NULL;
	struct document document;
	assert_int_equal(renameat(place->fd, "blobs", place->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", place->fd, "blobs"), 0);
	assert_int_equal(open_place(&repo, place, NULL), 0);
	assert_int_equal(resolve(repo, NULL, &document, NULL), -ELOOP);
}

static void test_manifest_bytes_are_verified(void **state)
{
	struct place *place = *state;
	auto_free char *bytes = write_image(place, NULL), *path = blob_path(bytes);
	AUTO(repo) repo = NULL;
	struct document document;
	struct err err = { 0 };
	bytes[strlen(bytes) - 3] ^= 1;
	auto_close int fd = openat(place->fd, path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(io_write_all(fd, bytes, strlen(bytes), NULL), 0);
	assert_int_equal(open_place(&repo, place, NULL), 0);
	assert_int_equal(resolve(repo, NULL, &document, &err), -EBADMSG);
	assert_non_null(strstr(err_text(&err), "expected sha256:"));
}

static void test_descriptors_are_bounded(void **state)
{
	auto_free char *bytes = write_image(*state, NULL);
	AUTO(repo) repo = NULL;
	AUTO(stream) stream = NULL;
	struct document document;
	struct descriptor d = { .size = MANIFEST_MAX_BYTES + 1 };
	assert_int_equal(open_place(&repo, *state, NULL), 0);
	assert_int_equal(repo_manifest(repo, &d, &document, NULL), -EBADMSG);
	assert_int_equal(repo_blob(repo, &d, 0, &stream, NULL), -EBADMSG);
	digest_of(&d.digest, DIGEST_SHA256, bytes, strlen(bytes));
	assert_int_equal(repo_manifest(repo, &d, &document, NULL), -E2BIG);
	d.size = strlen(bytes) + 1;
	assert_int_equal(repo_manifest(repo, &d, &document, NULL), -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_only_image_is_read),
		TEST(test_head_names_without_reading),
		TEST(test_tags_choose),
		TEST(test_a_digest_chooses),
		TEST(test_opening_refuses),
		TEST(test_a_file_is_no_layout),
		TEST(test_only_regular_files_of_the_right_size_are_blobs),
		TEST(test_a_linked_blobs_directory_is_refused),
		TEST(test_manifest_bytes_are_verified),
		TEST(test_descriptors_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
