/* Image archives: whatever a tar holds, an image found in it is sound or there is an error. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/io.h"
#include "oci/repo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(enum ref_kind kind, int fd)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const struct ref ref = { .kind = kind, .path = path };
	AUTO(repo) repo = NULL;
	auto_document document = { 0 };
	struct digest found;
	if (repo_open(&repo, &ref, &(const struct repo_options){ 0 }, NULL) < 0 ||
	    repo_resolve(repo, &ref, &document, NULL) < 0)
		return;
	digest_of(&found, document.descriptor.digest.algorithm, document.bytes, document.size);
	if (!digest_equal(&found, &document.descriptor.digest))
		abort();
	auto_document again = { 0 };
	if (repo_manifest(repo, &document.descriptor, &again, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_close int fd = memfd_create("archive", MFD_CLOEXEC);
	if (fd < 0 || io_write_all(fd, data, size, NULL) < 0)
		return 0;
	look(REF_OCI_ARCHIVE, fd);
	look(REF_DOCKER_ARCHIVE, fd);
	return 0;
}
