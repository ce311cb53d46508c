/* Credentials that expire: kept, renewed, asked for once at a time, and for one host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/creds-source.h"
#include "oci/creds.h"

#define THREADS 8

struct fake {
	struct creds_source base;
	atomic_uint asked;
	uint64_t lives_ms;
	unsigned takes_ms;
	int fails; /* a code, or 0 */
};

static void pause_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	(void)nanosleep(&t, NULL);
}

static int fake_ask(struct creds_source *source, const struct creds_net *net, const char *host,
		    struct credential *out, struct err *err)
{
	(void)net;
	struct fake *fake = (struct fake *)source;
	unsigned number = atomic_fetch_add(&fake->asked, 1) + 1;
	pause_ms(fake->takes_ms);
	if (fake->fails)
		return err_set(err, fake->fails, "failure %u", number);
	char password[32];
	(void)snprintf(password, sizeof(password), "password-%u", number);
	*out = (struct credential){ .username = mem_strdup("u"),
				    .password = mem_strdup(password),
				    .source = mem_strdup("fake"),
				    .host = mem_strdup(host ? host : "own.example"),
				    .lives_ms = fake->lives_ms };
	return 0;
}

static void fake_free(struct creds_source *source)
{
	free(source);
}

static struct creds *make(struct fake **out, uint64_t lives_ms)
{
	static const struct creds_source_ops ops = { fake_ask, fake_free };
	*out = mem_make(struct fake, .lives_ms = lives_ms);
	creds_source_init(&(*out)->base, &ops);
	return creds_of_source(&(*out)->base);
}

static const struct creds_net net;

static void expect(struct creds *creds, const char *host, const char *password, bool fresh)
{
	struct credential found = { 0 };
	assert_int_equal(creds_find(&found, creds, &net, host, "a", NULL), 0);
	assert_true(str_equal(found.password, password));
	assert_int_equal(found.fresh, fresh);
	credential_release(&found);
}

static void test_a_credential_is_kept_for_its_host(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 3600000);
	struct credential none = { 0 };
	assert_int_equal(creds_find(&none, creds, NULL, "a.example", "a", NULL), 0);
	assert_null(none.password); /* nothing is asked without the means to */
	expect(creds, "a.example", "password-1", true);
	expect(creds, "A.example", "password-1", false);
	expect(creds, NULL, "password-1", false);
	expect(creds, "b.example", NULL, false);
	assert_int_equal(fake->asked, 1);
}

static void test_a_host_may_be_the_sources_own(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 0);
	struct credential found = { 0 };
	assert_int_equal(creds_find(&found, creds, &net, NULL, NULL, NULL), 0);
	assert_string_equal(found.host, "own.example");
	assert_true(found.lives_ms > CREDS_LIFE_DEFAULT_MS / 2);
	credential_release(&found);
	expect(creds, "own.example", "password-1", false);
}

static void test_what_was_refused_is_not_given_again(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 3600000);
	struct credential first = { 0 }, kept = { 0 }, late = { 0 };
	assert_int_equal(creds_find(&first, creds, &net, "a", "a", NULL), 0);
	assert_false(creds_refused(creds, &first)); /* it was new: another is no better */
	assert_int_equal(creds_find(&kept, creds, &net, "a", "a", NULL), 0);
	assert_int_equal(creds_find(&late, creds, &net, "a", "a", NULL), 0);
	assert_true(creds_refused(creds, &kept));
	expect(creds, "a", "password-2", true);
	assert_true(creds_refused(creds, &late)); /* the old one: the new one stays */
	expect(creds, "a", "password-2", false);
	credential_release(&first);
	credential_release(&kept);
	credential_release(&late);
	AUTO(creds) fixed = creds_fixed("u", "p", "s");
	assert_int_equal(creds_find(&first, fixed, NULL, "a", "a", NULL), 0);
	assert_false(creds_refused(fixed, &first));
	credential_release(&first);
	assert_false(creds_refused(NULL, &first));
}

static void test_a_credential_is_renewed_before_its_end(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 40);
	expect(creds, "a", "password-1", true);
	pause_ms(35);
	expect(creds, "a", "password-2", true);
}

static void test_a_failure_is_not_kept(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 3600000);
	struct credential found = { 0 };
	struct err err = { 0 };
	fake->fails = ENOENT; /* must not be taken for an image that is not there */
	assert_int_equal(creds_find(&found, creds, &net, "a", "a", &err), -EACCES);
	assert_string_equal(err_text(&err), "failure 1");
	assert_null(found.password);
	fake->fails = 0;
	expect(creds, "a", "password-2", true);
}

struct asker {
	pthread_t thread;
	struct creds *creds;
	char *password; /* owned */
	int r;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	struct credential found = { 0 };
	asker->r = creds_find(&found, asker->creds, &net, "a", "a", NULL);
	asker->password = TAKE(found.password);
	credential_release(&found);
	return NULL;
}

static void ask_at_once(struct asker *askers, struct creds *creds)
{
	for (size_t i = 0; i < THREADS; i++) {
		askers[i].creds = creds;
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(askers[i].thread, NULL);
}

static void test_many_threads_ask_once(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 3600000);
	struct asker askers[THREADS] = { 0 };
	fake->takes_ms = 50;
	ask_at_once(askers, creds);
	assert_int_equal(fake->asked, 1);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(askers[i].r, 0);
		assert_string_equal(askers[i].password, "password-1");
		free(askers[i].password);
	}
}

/* Those that waited for it take the failure; one that comes later asks itself. */
static void test_a_failure_is_shared_by_those_who_waited(void **state)
{
	(void)state;
	struct fake *fake;
	AUTO(creds) creds = make(&fake, 3600000);
	struct asker askers[THREADS] = { 0 };
	fake->takes_ms = 200;
	fake->fails = EAGAIN;
	ask_at_once(askers, creds);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(askers[i].r, -EAGAIN);
	assert_true(fake->asked < THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_credential_is_kept_for_its_host),
		cmocka_unit_test(test_a_host_may_be_the_sources_own),
		cmocka_unit_test(test_what_was_refused_is_not_given_again),
		cmocka_unit_test(test_a_credential_is_renewed_before_its_end),
		cmocka_unit_test(test_a_failure_is_not_kept),
		cmocka_unit_test(test_many_threads_ask_once),
		cmocka_unit_test(test_a_failure_is_shared_by_those_who_waited),
	};
	return cmocka_run_group_tests_name("creds-source", tests, NULL, NULL);
}
