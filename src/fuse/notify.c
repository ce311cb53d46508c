/* Telling systemd; whether it listens is its own business. */
#include "fuse/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define TEXT_MAX_BYTES 2048

static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	if ((length == 0 || (path[0] != '/' && path[0] != '@')) ||
	    length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@') /* an abstract name, which ends where it ends */
		address.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
				     (path[0] == '/'));
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     size);
}

void notify_ready(const char *status)
{
	auto_str text = STR_MAX(TEXT_MAX_BYTES);
	str_addf(&text, "READY=1\nMAINPID=%d\nSTATUS=%s\n", (int)getpid(), status);
	if (!text.failed)
		notify(str_text(&text));
}

void notify_stopping(void)
{
	notify("STOPPING=1\n");
}
