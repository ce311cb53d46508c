/* Whom to trust over TLS.  The server is openssl's; without that program the tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/str.h"
#include "net/http.h"
#include "script-server.h"

#define MAKE_CERTIFICATE                                                               \
	"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2" \
	" -keyout key.pem -out cert.pem -subj /CN=localhost"                           \
	" -addext subjectAltName=DNS:localhost >openssl.log 2>&1"

struct fixture {
	char dir[32]; /* "" when there is no openssl */
	int dirfd;
	pid_t pid;
	unsigned port;
	struct http *http; /* owned */
	char *pem;	   /* owned: cert.pem */
};

static void run_server(const struct fixture *f, int out)
{
	if (fchdir(f->dirfd) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem",
	       "-key", "key.pem", "-www", (char *)NULL);
	_exit(127);
}

/* "ACCEPT 127.0.0.1:PORT" is what s_server says first. */
static unsigned read_port(int fd)
{
	char said[4096] = "";
	size_t length = 0;
	const char *port = NULL;
	while (!port || !strchr(port, '\n')) {
		ssize_t n = read(fd, said + length, sizeof(said) - 1 - length);
		if (n <= 0)
			return 0;
		length += (size_t)n;
		said[length] = '\0';
		port = strstr(said, "ACCEPT 127.0.0.1:");
	}
	return (unsigned)strtoul(port + strlen("ACCEPT 127.0.0.1:"), NULL, 10);
}

static bool make_certificate(struct fixture *f)
{
	memcpy(f->dir, "/tmp/test-http-tls-XXXXXX", 26);
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str command = STR_MAX(1024);
	str_addf(&command, "cd %s && " MAKE_CERTIFICATE, f->dir);
	size_t size = 0;
	return system(str_text(&command)) == 0 &&
	       io_read_file(f->dirfd, "cert.pem", 65536, &f->pem, &size, NULL) == 0;
}

static int set_up(void **state)
{
	struct fixture *f = mem_make(struct fixture, .dirfd = -1);
	int fds[2];
	*state = f;
	if (!make_certificate(f) || pipe(fds) < 0)
		return 0;
	f->pid = fork();
	if (f->pid == 0)
		run_server(f, fds[1]);
	(void)close(fds[1]);
	f->port = read_port(fds[0]);
	(void)close(fds[0]);
	return http_new(&f->http, NULL, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http_free(f->http);
	if (f->pid > 0) {
		(void)kill(f->pid, SIGKILL);
		(void)waitpid(f->pid, NULL, 0);
	}
	auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	IGNORE(io_remove_tree(tmp, strrchr(f->dir, '/') + 1, NULL));
	mem_close_fd(&f->dirfd);
	free(f->pem);
	free(f);
	return 0;
}

static int fetch(const struct fixture *f, const char *host, const struct http_tls *tls,
		 struct err *err)
{
	if (f->port == 0)
		skip();
	auto_str url = STR_MAX(200);
	str_addf(&url, "https://%s:%u/", host, f->port);
	const struct http_request request = { .method = "GET", .url = str_text(&url), .tls = tls };
	AUTO(http_transfer) t = NULL;
	int r = http_open(&t, f->http, &request, err);
	if (r == 0)
		assert_int_equal(http_status(t), 200);
	return r;
}

static void test_tls_unknown_certificate_is_refused_by_name(void **state)
{
	const struct fixture *f = *state;
	struct err err = { 0 };
	auto_str host = STR_MAX(100);
	assert_int_equal(fetch(f, "localhost", NULL, &err), -EPROTO);
	str_addf(&host, "'localhost:%u' has a certificate that is not trusted", f->port);
	assert_non_null(strstr(err.text, str_text(&host)));
}

static void test_tls_given_certificates_are_trusted(void **state)
{
	const struct fixture *f = *state;
	auto_str file = STR_MAX(100);
	str_addf(&file, "%s/cert.pem", f->dir);
	const struct http_tls good[] = {
		{ .ca_pem = f->pem },
		{ .ca_file = str_text(&file) },
		{ .ca_pem = f->pem, .ca_file = str_text(&file) },
		{ .skip_verify = true },
	};
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		struct err err = { 0 };
		if (fetch(f, "localhost", &good[i], &err) != 0)
			fail_msg("%zu: %s", i, err_text(&err));
	}
}

/* What one request trusted, also by a connection that is still open, another does not get. */
static void test_tls_trust_is_not_shared(void **state)
{
	const struct fixture *f = *state;
	const struct http_tls trusting = { .ca_pem = f->pem }, blind = { .skip_verify = true };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fetch(f, "localhost", i % 2 ? &blind : &trusting, NULL), 0);
		assert_int_equal(fetch(f, "localhost", NULL, NULL), -EPROTO);
	}
}

static void test_tls_name_must_match(void **state)
{
	const struct fixture *f = *state;
	const struct http_tls trusting = { .ca_pem = f->pem }, blind = { .skip_verify = true };
	struct err err = { 0 };
	assert_int_equal(fetch(f, "127.0.0.1", &trusting, &err), -EPROTO);
	assert_non_null(strstr(err.text, "not trusted"));
	assert_int_equal(fetch(f, "127.0.0.1", &blind, NULL), 0);
}

static void test_tls_bad_files_are_the_users_mistake(void **state)
{
	const struct fixture *f = *state;
	auto_str key = STR_MAX(100), log = STR_MAX(100);
	str_addf(&key, "%s/key.pem", f->dir);
	str_addf(&log, "%s/openssl.log", f->dir);
	const struct http_tls bad[] = {
		{ .ca_file = "/nonexistent/ca.crt" },
		{ .ca_file = str_text(&log) },
		{ .ca_pem = "no certificate" },
		{ .ca_pem = "" },
		{ .client_cert = "/nonexistent/client.cert" },
		{ .client_cert = str_text(&log), .client_key = str_text(&key) },
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct err err = { 0 };
		int r = fetch(f, "localhost", &bad[i], &err);
		if (r != (i == 0 ? -ENOENT : -EINVAL))
			fail_msg("%zu: %d %s", i, r, err_text(&err));
	}
}

static void test_tls_plain_http_is_no_tls(void **state)
{
	const struct fixture *f = *state;
	static const struct script nothing[] = { { NULL, NULL } };
	struct script_server *plain = script_start(nothing);
	auto_str url = STR_MAX(100);
	str_addf(&url, "https://127.0.0.1:%u/", plain->port);
	const struct http_request request = { .method = "GET", .url = str_text(&url) };
	struct http_transfer *t = NULL;
	AUTO(http) http = NULL;
	const struct http_options options = { .low_speed_seconds = 1 };
	(void)f;
	assert_int_equal(http_new(&http, &options, NULL), 0);
	assert_int_equal(http_open(&t, http, &request, NULL), -ETIMEDOUT); /* it waits for a line */
	script_stop(plain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tls_unknown_certificate_is_refused_by_name),
		TEST(test_tls_given_certificates_are_trusted),
		TEST(test_tls_trust_is_not_shared),
		TEST(test_tls_name_must_match),
		TEST(test_tls_bad_files_are_the_users_mistake),
		TEST(test_tls_plain_http_is_no_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
