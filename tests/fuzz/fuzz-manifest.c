/* Manifests, indexes, configs, lists of docker save: the first byte chooses, the rest is JSON. */
#include <stdlib.h>

#include "oci/config.h"
#include "oci/docker-save.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_sound(const struct descriptor *d)
{
	if (!digest_known(&d->digest) || d->size > INT64_MAX || !d->media_type)
		abort();
	free(descriptor_annotation(d, "a"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_manifest manifest = { 0 };
	auto_index index = { 0 };
	auto_config config = { 0 };
	auto_docker_save save = { 0 };
	const struct descriptor *chosen = NULL;
	const struct docker_image *image = NULL;
	const struct platform wanted = { "linux", "arm", "v7" };
	char kind = size-- > 0 ? (char)*data++ : 0;
	const char *type = kind == 'd' ? MEDIA_DOCKER_MANIFEST : MEDIA_OCI_MANIFEST;
	if ((kind == 'm' || kind == 'd') && manifest_parse(&manifest, type, data, size, NULL) == 0)
		must_be_sound(&manifest.config);
	for (size_t i = 0; i < manifest.layer_count; i++)
		must_be_sound(&manifest.layers[i]);
	if (kind == 'i' && index_parse(&index, NULL, data, size, NULL) == 0 &&
	    index_choose(&chosen, &index, &wanted, NULL) == 0)
		must_be_sound(chosen);
	if (kind == 'c' && config_parse(&config, data, size, NULL) == 0 && !config.user)
		abort();
	if (kind == 's' && docker_save_parse(&save, data, size, NULL) == 0)
		(void)!docker_save_choose(&image, &save, "busybox", NULL);
	return 0;
}
