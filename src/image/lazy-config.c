/*
 * The config is only needed where a diffID is: by scans, and by tables that the cache has.  So it
 * is fetched by a thread of its own while tables are looked for, which saves a round trip.
 */
#include <errno.h>

#include "image/lazy-internal.h"

static size_t representative(const struct lazy *lazy, size_t layer)
{
	return lazy->layers[lazy->of_layer[layer]].number;
}

/* Layers that are one blob share a table: then they are one tar, too. */
static int check_shared(const struct lazy *lazy, struct err *err)
{
	const struct image *image = lazy->image;
	for (size_t i = lazy->options.skip_layers; i < image->manifest.layer_count; i++) {
		size_t other = representative(lazy, i);
		if (!digest_equal(&image->config.diff_ids[i], &image->config.diff_ids[other]))
			return err_set(err, EBADMSG,
				       "image '%s': layers %zu and %zu are one blob, but the "
				       "config has two diffIDs for it",
				       image->repo->name, other + 1, i + 1);
	}
	return 0;
}

static int read_config(struct lazy *lazy, struct err *err)
{
	int r = 0;
	if (lazy->config_is_late)
		r = image_read_config(lazy->image, &lazy->options.image, 0, err);
	return r == 0 ? check_shared(lazy, err) : r;
}

static void *run(void *arg)
{
	struct lazy *lazy = arg;
	struct late_config *config = &lazy->config;
	int r = read_config(lazy, &config->err);
	LOCKED(&lazy->mutex);
	config->state = r < 0 ? CONFIG_FAILED : CONFIG_HERE;
	config->code = r;
	if (r < 0)
		atomic_store(&lazy->stop, true);
	pthread_cond_broadcast(&lazy->changed);
	return NULL;
}

void lazy_config_start(struct lazy *lazy)
{
	struct late_config *config = &lazy->config;
	config->runs = lazy->config_is_late &&
		       pthread_create(&config->thread, NULL, run, lazy) == 0;
	if (!config->runs)
		(void)run(lazy);
}

bool lazy_config_is_here(struct lazy *lazy)
{
	LOCKED(&lazy->mutex);
	return lazy->config.state == CONFIG_HERE;
}

int lazy_config_wait(struct lazy *lazy, struct err *err)
{
	LOCKED(&lazy->mutex);
	while (lazy->config.state == CONFIG_COMING)
		pthread_cond_wait(&lazy->changed, &lazy->mutex);
	return lazy->config.state == CONFIG_HERE ? 0 : err_set(err, ECANCELED, "stopped");
}

int lazy_config_end(struct lazy *lazy, struct err *err)
{
	struct late_config *config = &lazy->config;
	if (config->runs)
		pthread_join(config->thread, NULL);
	config->runs = false;
	if (config->code < 0 && err)
		*err = config->err;
	return config->code;
}
