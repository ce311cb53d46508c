/* The counters of a display: made for a number of layers, all waiting; read by term/report. */
#include "image/progress.h"

#include <stdlib.h>

#include "base/mem.h"

void progress_init(struct progress *progress, size_t layer_count)
{
	*progress = (struct progress){ .layer_count = layer_count };
	size_t bytes;
	if (!mul_ok(layer_count, sizeof(*progress->layers), &bytes))
		abort(); /* counts are capped long before: LAYERS_MAX */
	progress->layers = mem_new(bytes);
	for (size_t i = 0; i < layer_count; i++)
		progress->layers[i].total_bytes = UINT64_MAX;
}

void progress_release(struct progress *progress)
{
	free(progress->layers);
	*progress = (struct progress){ 0 };
}
