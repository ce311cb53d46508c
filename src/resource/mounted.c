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
	};
	say_access(&options.access, &session->request.source);
	session_close_http(session);
	r = mount_start(&options, err);
	if (r < 0)
		(void)rmdir(path);
	int opened = session_open_http(session, r == 0 ? err : NULL);
	return r < 0 ? r : opened;
}

void mounted_undo(const char *path)
{
	IGNORE(mount_stop(path, true, NULL));
	(void)rmdir(path);
}
