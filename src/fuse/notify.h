/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET; nothing when that is not set. */
#pragma once

/* "READY=1\nMAINPID=..", "STOPPING=1" */
void notify_ready(const char *status);
void notify_stopping(void);
