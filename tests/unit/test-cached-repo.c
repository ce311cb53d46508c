/* Documents from the cache in front of a repo that counts its calls, refuses, or is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "image/cached-repo.h"
#include "layer-image.h"

#define INDEX "{\"an\":\"index\"}"
#define MANIFEST "{\"a\":\"manifest\"}"
#define CONFIG "{\"a\":\"config\"}"

struct fake {
	struct repo base;
	const char *named; /* what the tag names */
	int code;	   /* of every call */
	unsigned resolves, manifests, blobs, ranges;
	bool hurried;	       /* right now */
	bool resolved_hurried; /* while it was asked */
};

static void make_document(struct document *out, const char *media_type, const char *text)
{
	*out = (struct document){ .descriptor = { .media_type = mem_strdup(media_type),
						  .size = strlen(text) },
				  .bytes = mem_strdup(text),
				  .size = strlen(text) };
	digest_of(&out->descriptor.digest, DIGEST_SHA256, text, strlen(text));
}

static int fake_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			struct err *err)
{
	struct fake *f = (struct fake *)repo;
	(void)ref;
	f->resolves++;
	f->resolved_hurried = f->hurried;
	if (f->code < 0)
		return err_set(err, -f->code, "the registry is not well");
	make_document(out, MEDIA_OCI_INDEX, f->named);
	return 0;
}

static int fake_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			 struct err *err)
{
	struct fake *f = (struct fake *)repo;
	(void)d;
	f->manifests++;
	if (f->code < 0)
		return err_set(err, -f->code, "the registry is not well");
	make_document(out, MEDIA_OCI_MANIFEST, MANIFEST);
	return 0;
}

static int fake_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		     struct stream **out, struct err *err)
{
	struct fake *f = (struct fake *)repo;
	(void)d;
	(void)flags;
	f->blobs++;
	if (f->code < 0)
		return err_set(err, -f->code, "the registry is not well");
	*out = stream_of_memory(CONFIG, strlen(CONFIG));
	return 0;
}

static int fake_range(struct repo *repo, const struct descriptor *d, uint64_t offset,
		      uint64_t length, unsigned flags, struct stream **out, struct err *err)
{
	(void)d;
	(void)flags;
	(void)err;
	((struct fake *)repo)->ranges++;
	*out = stream_of_memory(&CONFIG[offset], length);
	return 0;
}

static void fake_hurry(struct repo *repo, bool on)
{
	((struct fake *)repo)->hurried = on;
}

static void fake_free(struct repo *repo)
{
	free(repo->name);
	free(repo);
}

static const struct repo_ops fake_ops = {
	.resolve = fake_resolve,
	.manifest = fake_manifest,
	.blob = fake_blob,
	.range = fake_range,
	.hurry = fake_hurry,
	.free = fake_free,
};

/* Each test opens the repo more than once: another process, the same cache. */
static struct repo *open_repo(const struct lab *lab, const char *name, struct fake **fake,
			      struct ref *ref)
{
	assert_int_equal(ref_parse(ref, name, NULL), 0);
	*fake = mem_make(struct fake, .base = { &fake_ops, mem_strdup("host/app") },
			 .named = INDEX);
	return cached_repo_new(&(*fake)->base, lab->cache, ref);
}

static int resolve(struct repo *repo, const struct ref *ref, const char *wanted)
{
	auto_document document = { 0 };
	int r = repo_resolve(repo, ref, &document, NULL);
	if (r == 0) {
		assert_string_equal(document.bytes, wanted);
		assert_string_equal(document.descriptor.media_type, MEDIA_OCI_INDEX);
		assert_int_equal(document.size, strlen(wanted));
	}
	return r;
}

static void test_tag_is_asked_each_time(void **state)
{
	for (int i = 0; i < 2; i++) {
		auto_ref ref = { 0 };
		struct fake *fake;
		AUTO(repo) repo = open_repo(*state, "host.io/app:1", &fake, &ref);
		fake->named = i ? CONFIG : INDEX;
		assert_int_equal(resolve(repo, &ref, fake->named), 0);
		assert_int_equal(fake->resolves, 1);
		assert_int_equal(cached_repo_stale_since(repo), 0);
		/* in a hurry only when there is something to go by */
		assert_int_equal(fake->resolved_hurried, i > 0);
		assert_false(fake->hurried);
	}
}

static void test_digest_is_asked_once(void **state)
{
	struct digest digest;
	struct str name = STR_MAX(200);
	digest_of(&digest, DIGEST_SHA256, INDEX, strlen(INDEX));
	str_addf(&name, "host.io/app@%s", digest_show(&digest));
	for (int i = 0; i < 2; i++) {
		auto_ref ref = { 0 };
		struct fake *fake;
		AUTO(repo) repo = open_repo(*state, str_text(&name), &fake, &ref);
		fake->code = i ? -EACCES : 0;
		assert_int_equal(resolve(repo, &ref, INDEX), 0);
		assert_int_equal(fake->resolves, i ? 0 : 1);
	}
	str_release(&name);
}

static void test_tag_of_a_registry_that_is_away(void **state)
{
	static const struct {
		int code, wanted;
	} cases[] = {
		{ -EAGAIN, 0 },	      { -ETIMEDOUT, 0 },    { -EPROTO, 0 },
		{ -EACCES, -EACCES }, { -ENOENT, -ENOENT }, { -EBADMSG, -EBADMSG },
	};
	auto_ref ref = { 0 };
	struct fake *fake;
	AUTO(repo) repo = open_repo(*state, "host.io/app:1", &fake, &ref);
	assert_int_equal(resolve(repo, &ref, INDEX), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		auto_ref same = { 0 }, other = { 0 };
		struct fake *away;
		AUTO(repo) later = open_repo(*state, "host.io/app:1", &away, &same);
		away->code = cases[i].code;
		assert_int_equal(resolve(later, &same, INDEX), cases[i].wanted);
		int64_t since = cached_repo_stale_since(later);
		if (cases[i].wanted == 0)
			assert_in_range(since, time(NULL) - 60, time(NULL));
		else
			assert_int_equal(since, 0);
		/* another tag says nothing */
		AUTO(repo) unknown = open_repo(*state, "host.io/app:2", &away, &other);
		away->code = cases[i].code;
		assert_int_equal(resolve(unknown, &other, INDEX), cases[i].code);
	}
}

static void test_documents_are_fetched_once(void **state)
{
	struct descriptor d = { .media_type = mem_strdup(MEDIA_OCI_MANIFEST),
				.size = strlen(MANIFEST) };
	digest_of(&d.digest, DIGEST_SHA256, MANIFEST, strlen(MANIFEST));
	for (unsigned i = 0; i < 3; i++) {
		auto_ref ref = { 0 };
		struct fake *fake;
		AUTO(repo) repo = open_repo(*state, "host.io/app:1", &fake, &ref);
		auto_document document = { 0 };
		assert_int_equal(repo_manifest(repo, &d, &document, NULL), 0);
		assert_string_equal(document.bytes, MANIFEST);
		assert_string_equal(document.descriptor.media_type, MEDIA_OCI_MANIFEST);
		assert_int_equal(fake->manifests, i == 0);
	}
	descriptor_release(&d);
}

static void test_blobs(struct lab *lab, const char *media_type, bool kept)
{
	struct descriptor d = { .media_type = mem_strdup(media_type), .size = strlen(CONFIG) };
	digest_of(&d.digest, DIGEST_SHA256, CONFIG, strlen(CONFIG));
	for (unsigned i = 0; i < 3; i++) {
		auto_ref ref = { 0 };
		struct fake *fake;
		AUTO(repo) repo = open_repo(lab, "host.io/app:1", &fake, &ref);
		auto_free char *bytes = NULL;
		size_t size;
		assert_int_equal(repo_blob_bytes(repo, &d, 1000, &bytes, &size, NULL), 0);
		assert_string_equal(bytes, CONFIG);
		assert_int_equal(fake->blobs, !kept || i == 0);
		AUTO(stream) stream = NULL;
		assert_int_equal(repo_range(repo, &d, 2, 3, 0, &stream, NULL), 0);
		assert_int_equal(fake->ranges, 1);
	}
	descriptor_release(&d);
}

static void test_configs_are_fetched_once(void **state)
{
	test_blobs(*state, "application/vnd.oci.image.config.v1+json", true);
}

static void test_layers_pass_through(void **state)
{
	test_blobs(*state, "application/vnd.oci.image.layer.v1.tar+gzip", false);
}

/* What the cache has under a digest and is something else is fetched anew. */
static void test_wrong_document_is_not_given(void **state)
{
	struct lab *lab = *state;
	static const char wrong[] = MEDIA_OCI_MANIFEST "\0{\"a\":\"manifesT\"}";
	static const char *const files[] = { wrong, "", "no end" };
	static const size_t sizes[] = { sizeof(wrong) - 1, 0, 6 };
	struct descriptor d = { .media_type = mem_strdup(MEDIA_OCI_MANIFEST),
				.size = strlen(MANIFEST) };
	digest_of(&d.digest, DIGEST_SHA256, MANIFEST, strlen(MANIFEST));
	for (unsigned i = 0; i < N_ELEMENTS(files); i++) {
		auto_ref ref = { 0 };
		struct fake *fake;
		AUTO(repo) repo = open_repo(lab, "host.io/app:1", &fake, &ref);
		auto_document document = { 0 };
		IGNORE(cache_put(lab->cache, CACHE_DOCUMENT, &d.digest, files[i], sizes[i], NULL));
		assert_int_equal(repo_manifest(repo, &d, &document, NULL), 0);
		assert_string_equal(document.bytes, MANIFEST);
		assert_int_equal(fake->manifests, 1);
	}
	descriptor_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tag_is_asked_each_time, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_digest_is_asked_once, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_tag_of_a_registry_that_is_away, lab_make,
						lab_remove),
		cmocka_unit_test_setup_teardown(test_documents_are_fetched_once, lab_make,
						lab_remove),
		cmocka_unit_test_setup_teardown(test_configs_are_fetched_once, lab_make,
						lab_remove),
		cmocka_unit_test_setup_teardown(test_layers_pass_through, lab_make, lab_remove),
		cmocka_unit_test_setup_teardown(test_wrong_document_is_not_given, lab_make,
						lab_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
