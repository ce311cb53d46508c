/*
 * "lazy": rootfs/ is mounted by the same code as `rootlet mount`.  What the step was told about the
 * registry goes along, since the mount outlives the step.
 */
#include "resource/mounted.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/json.h"
#include "fuse/mount.h"

static void say_access(struct mount_access *out, const struct source *source)
{
	*out = (struct mount_access){
		.fixed = true,
		.username = source->username,
		.password = source->password,
		.insecure = source->insecure,
		.ca_pem = source->ca_pem,
		.client_pem = source->cloud.client_cert,
		.client_key_pem = source->cloud.client_key,
		.cloud = source_cloud_settings(&source->cloud),
		.mirror = source->mirror.host,
		.mirror_username = source->mirror.username,
		.mirror_password = source->mirror.password,
	};
}

int mounted_provide(struct session *session, const struct ref *ref, const char *path,
		    struct err *err)
{
	struct err why = { 0 };
	if (mount_usable(&why) < 0)
		return err_set(err, EOPNOTSUPP, "%s", err_text(&why));
	int r = 0;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "create '%s'", esc(path));
	auto_free char *image = ref_text(ref);
	struct platform_text platform = platform_format(&session->platform);
	struct mount_options options = {
		.image = image,
		.directory = path,
		.platform = platform.text,
		.tls_verify = true,
		.least = TRUST_BOUND,
		.fill = LAZY_FILL_IDLE,
		.wait = true,
	};
	say_access(&options.access, &session->request.source);
	session_close_http(session);
	r = mount_start(&options, err);
	if (r < 0)
		(void)rmdir(path);
	int opened = session_open_http(session, r == 0 ? err : NULL);
	return r < 0 ? r : opened;
}

/* --- what it cost --- */

static uint64_t number_of(const struct json_value *object, const char *key)
{
	uint64_t number = 0;
	(void)json_u64(json_get(object, key), &number);
	return number;
}

/* One mount's status object, docs/mount.md. */
static int read_cost(void *arg, const char *text, size_t size, struct err *err)
{
	struct mounted_cost *cost = arg;
	AUTO(json) json = NULL;
	int r = json_parse(&json, text, size, 0, err);
	if (r < 0)
		return r;
	const struct json_value *root = json_root(json), *layers = json_get(root, "layers");
	cost->fetched_bytes = number_of(json_get(root, "opened"), "bytes");
	cost->layers = json_count(layers);
	for (size_t i = 0; i < cost->layers; i++) {
		const struct json_value *layer = json_at(layers, i);
		bool cached = false;
		if (json_bool(json_get(layer, "table_cached"), &cached) && cached)
			cost->cached_layers++;
		uint64_t spans = number_of(layer, "spans");
		double share = (double)number_of(layer, "spans_present") /
			       (double)(spans > 0 ? spans : 1);
		double bytes = (double)number_of(layer, "stream_bytes");
		cost->stream_bytes += bytes;
		cost->present_bytes += bytes * share;
	}
	return 0;
}

int mounted_cost(struct mounted_cost *out, const char *path, struct err *err)
{
	*out = (struct mounted_cost){ 0 };
	int r = mount_status(path, read_cost, out, err);
	return r == 0 && out->layers == 0 ? err_set(err, ENOENT, "it says nothing") : r;
}

void mounted_undo(const char *path)
{
	IGNORE(mount_stop(path, true, NULL));
	(void)rmdir(path);
}
