/* What every repo promises: bytes are what their digest and size say, whoever brought them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "oci/repo.h"

/* A repo that answers everything with BYTES and says of them what it likes. */
struct liar {
	struct repo base;
	const char *bytes;
	struct descriptor says; /* of resolve's document */
	int calls;
};

static int liar_manifest(struct repo *repo, const struct descriptor *d, struct document *out,
			 struct err *err)
{
	(void)err;
	struct liar *liar = (struct liar *)repo;
	liar->calls++;
	*out = (struct document){ .bytes = mem_strdup(liar->bytes), .size = strlen(liar->bytes) };
	descriptor_copy(&out->descriptor, d);
	return 0;
}

static int liar_resolve(struct repo *repo, const struct ref *ref, struct document *out,
			struct err *err)
{
	(void)ref;
	return liar_manifest(repo, &((struct liar *)repo)->says, out, err);
}

static int liar_blob(struct repo *repo, const struct descriptor *d, unsigned flags,
		     struct stream **out, struct err *err)
{
	(void)d;
	(void)flags;
	(void)err;
	struct liar *liar = (struct liar *)repo;
	liar->calls++;
	*out = stream_of_memory(liar->bytes, strlen(liar->bytes));
	return 0;
}

static const struct repo_ops liar_ops = { .resolve = liar_resolve,
					  .manifest = liar_manifest,
					  .blob = liar_blob };

static struct descriptor describe(const char *bytes, uint64_t size)
{
	struct descriptor d = { .size = size };
	digest_of(&d.digest, DIGEST_SHA256, bytes, strlen(bytes));
	return d;
}

/* What is asked for, and what comes; everything else is refused. */
static const struct {
	const char *wanted, *bytes;
	uint64_t size;
	int code;
	const char *says;
} cases[] = {
	{ "hello", "hello", 5, 0, NULL },
	{ "hello", "hello", UINT64_MAX, 0, NULL },
	{ "", "", 0, 0, NULL },
	{ "hello", "hello", 4, EBADMSG, "has 5 bytes, its descriptor says 4" },
	{ "hello", "hello", 6, EBADMSG, "says 6" },
	{ "hello", "hellO", 5, EBADMSG, "digest is sha256:" },
	{ "hello", "hellO", UINT64_MAX, EBADMSG, "expected sha256:2cf24dba" },
	{ "hello", "hello you", 5, EBADMSG, "has 9 bytes" },
	{ "hello", "", 5, EBADMSG, "has 0 bytes" },
};

static void test_manifests_are_what_was_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct liar liar = { { &liar_ops, NULL }, cases[i].bytes, { 0 }, 0 };
		struct descriptor d = describe(cases[i].wanted, cases[i].size);
		auto_document document = { 0 };
		struct err err = { 0 };
		int r = repo_manifest(&liar.base, &d, &document, &err);
		if (r != -cases[i].code || (r < 0 && !strstr(err_text(&err), cases[i].says)))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
		assert_int_equal(document.bytes != NULL, r == 0);
	}
}

static void test_resolved_documents_are_what_they_claim(void **state)
{
	(void)state;
	const struct ref ref = { .kind = REF_REGISTRY };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct liar liar = { { &liar_ops, NULL }, cases[i].bytes, { 0 }, 0 };
		auto_document document = { 0 };
		liar.says = describe(cases[i].wanted, cases[i].size);
		assert_int_equal(repo_resolve(&liar.base, &ref, &document, NULL), -cases[i].code);
	}
	struct liar silent = { { &liar_ops, NULL }, "hello", { 0 }, 0 };
	struct document none;
	silent.says.size = 5;
	assert_int_equal(repo_resolve(&silent.base, &ref, &none, NULL), -EBADMSG);
}

static void test_a_digest_in_the_reference_wins(void **state)
{
	(void)state;
	struct liar liar = { { &liar_ops, NULL }, "hello", { 0 }, 0 };
	struct ref ref = { .kind = REF_REGISTRY };
	auto_document document = { 0 };
	liar.says = describe("hello", 5);
	digest_of(&ref.digest, DIGEST_SHA512, "hello", 5);
	assert_int_equal(repo_resolve(&liar.base, &ref, &document, NULL), 0);
	assert_true(digest_equal(&document.descriptor.digest, &ref.digest));
	struct document none;
	digest_of(&ref.digest, DIGEST_SHA256, "other", 5);
	assert_int_equal(repo_resolve(&liar.base, &ref, &none, NULL), -EBADMSG);
}

static void test_small_blobs_are_what_was_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct liar liar = { { &liar_ops, NULL }, cases[i].bytes, { 0 }, 0 };
		struct descriptor d = describe(cases[i].wanted, cases[i].size);
		auto_free char *bytes = NULL;
		size_t size = 0;
		struct err err = { 0 };
		int r = repo_blob_bytes(&liar.base, &d, 100, &bytes, &size, &err);
		if (r != -cases[i].code || (r < 0 && !strstr(err_text(&err), cases[i].says)))
			fail_msg("case %zu: %d, %s", i, r, err_text(&err));
		if (r == 0)
			assert_string_equal(bytes, cases[i].bytes);
	}
}

static void test_blobs_are_bounded(void **state)
{
	(void)state;
	struct liar liar = { { &liar_ops, NULL }, "hello", { 0 }, 0 };
	struct descriptor d = describe("hello", 5), unsized = describe("hello", UINT64_MAX);
	struct descriptor nameless = { .size = 5 };
	AUTO(stream) stream = NULL;
	char *bytes = NULL;
	size_t size = 0;
	assert_int_equal(repo_blob_bytes(&liar.base, &d, 4, &bytes, &size, NULL), -E2BIG);
	assert_int_equal(repo_blob_bytes(&liar.base, &nameless, 9, &bytes, &size, NULL), -EBADMSG);
	assert_int_equal(repo_blob(&liar.base, &nameless, 0, &stream, NULL), -EBADMSG);
	assert_int_equal(liar.calls, 0); /* said from the descriptor alone */
	assert_int_equal(repo_blob_bytes(&liar.base, &unsized, 4, &bytes, &size, NULL), -E2BIG);
	assert_null(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifests_are_what_was_asked_for),
		cmocka_unit_test(test_resolved_documents_are_what_they_claim),
		cmocka_unit_test(test_a_digest_in_the_reference_wins),
		cmocka_unit_test(test_small_blobs_are_what_was_asked_for),
		cmocka_unit_test(test_blobs_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
