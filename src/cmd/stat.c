/*
 * "rootlet stat IMAGE PATH...": all that is known of a name, and its history: the layer it is from,
 * earlier versions of it that are hidden now, and the commands that made them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "cmd/entry.h"
#include "cmd/view.h"
#include "image/rootfs-path.h"
#include "image/versions.h"
#include "oci/base64.h"

static const struct opt options[] = { LOOK_OPTIONS("one JSON object a line and path") };

struct subject {
	struct view *view; /* borrowed */
	const char *path;  /* borrowed */
	uint32_t number;
	const struct rootfs_inode *inode; /* borrowed */
	struct versions versions;	  /* the last one is what is there now */
	struct toc_xattr *xattrs;	  /* owned */
	size_t xattr_count;
};

static void subject_release(struct subject *s)
{
	versions_release(&s->versions);
	mem_free_pointer(&s->xattrs);
}

static int take_versions(struct subject *s, struct err *err)
{
	size_t count = lazy_layer_count(s->view->lazy);
	auto_free struct toc **tocs = mem_new((count + 1) * sizeof(*tocs));
	for (size_t i = 0; i < count; i++)
		tocs[i] = table_toc(lazy_table(s->view->lazy, i));
	return versions_of(&s->versions, s->view->rootfs, s->path, tocs, count, err);
}

static int take(struct subject *s, struct err *err)
{
	const struct rootfs *rootfs = s->view->rootfs;
	int r = rootfs_resolve(rootfs, s->path, false, &s->number, err);
	if (r < 0)
		return r;
	s->inode = rootfs_inode(rootfs, s->number);
	s->xattr_count = rootfs_xattrs(rootfs, s->inode, NULL, 0);
	s->xattrs = mem_new((s->xattr_count + 1) * sizeof(*s->xattrs));
	(void)rootfs_xattrs(rootfs, s->inode, s->xattrs, s->xattr_count);
	return take_versions(s, err);
}

static const struct config_step *step_of(const struct subject *s, size_t layer)
{
	return config_layer_step(&lazy_image(s->view->lazy)->config, layer);
}

/* ---- for programs */

static void add_layer_json(struct str *line, const struct subject *s, size_t layer)
{
	const struct descriptor *blob = &lazy_image(s->view->lazy)->manifest.layers[layer];
	const struct config_step *step = step_of(s, layer);
	str_addf(line, "\"layer\":%zu,\"digest\":", layer + 1);
	if (digest_known(&blob->digest))
		str_addf(line, "\"%s\"", digest_show(&blob->digest));
	else
		str_add(line, "null");
	str_add(line, ",\"created_by\":");
	if (step)
		print_json_text(line, step->created_by);
	else
		str_add(line, "null");
}

static void add_versions_json(struct str *line, const struct subject *s)
{
	str_add(line, ",\"versions\":[");
	for (size_t i = 0; i < s->versions.count; i++) {
		const struct version *v = &s->versions.all[i];
		str_add(line, i > 0 ? ",{" : "{");
		add_layer_json(line, s, v->layer);
		str_addf(line, ",\"removed\":%s", v->removed ? "true" : "false");
		if (!v->removed)
			str_addf(line,
				 ",\"type\":\"%s\",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u,"
				 "\"size\":%" PRIu64 ",\"mtime\":\"%s\"",
				 entry_type(v->mode), entry_mode_of(v->mode) & 07777, v->uid,
				 v->gid, v->size, entry_time_utc(v->mtime_s, v->mtime_ns).text);
		str_addc(line, '}');
	}
	str_addc(line, ']');
}

static void print_json(const struct subject *s)
{
	auto_str line = STR_MAX(ENTRY_JSON_MAX_BYTES);
	str_addc(&line, '{');
	entry_json(&line, s->view->rootfs, s->path, s->number);
	str_add(&line, ",\"xattrs\":[");
	for (size_t i = 0; i < s->xattr_count; i++) {
		const struct toc_xattr *x = &s->xattrs[i];
		auto_free char *value = base64_encode(x->value, x->size);
		str_add(&line, i > 0 ? ",{" : "{");
		print_json_name(&line, "name", x->name);
		str_addf(&line, ",\"value_base64\":\"%s\"}", value);
	}
	str_addc(&line, ']');
	add_versions_json(&line, s);
	str_addc(&line, '}');
	print_line(s->view->print, &line);
}

/* ---- for people */

static void print_layer_text(const struct subject *s, size_t layer)
{
	FILE *out = print_file(s->view->print);
	const struct image *image = lazy_image(s->view->lazy);
	const struct config_step *step = step_of(s, layer);
	const struct digest *digest = &image->manifest.layers[layer].digest;
	fprintf(out, "layer %zu of %zu", layer + 1, image->manifest.layer_count);
	if (digest_known(digest))
		fprintf(out, ", %.19s", digest_show(digest));
	fputc('\n', out);
	if (!step)
		return;
	fputs("              ", out);
	print_text(s->view->print, *step->created_by ? step->created_by : step->comment);
	fputc('\n', out);
}

static void print_version(const struct subject *s, const struct version *v, bool was_there)
{
	FILE *out = print_file(s->view->print);
	if (v->removed)
		fputs("  removed     by ", out);
	else if (was_there)
		fputs("  replaced    by ", out);
	else
		fputs("  added       by ", out);
	print_layer_text(s, v->layer);
	if (!v->removed)
		fprintf(out, "              %s, %" PRIu64 " bytes, %s %u:%u, %s\n",
			entry_type(v->mode), v->size, entry_mode(v->mode).text, v->uid, v->gid,
			entry_time_utc(v->mtime_s, v->mtime_ns).text);
}

static void print_xattr(const struct subject *s, const struct toc_xattr *x)
{
	auto_free char *value = mem_strndup((const char *)x->value, x->size);
	fputs("  attribute   ", print_file(s->view->print));
	print_text(s->view->print, x->name);
	if (strlen(value) == x->size) {
		fputs(" = ", print_file(s->view->print));
		print_text(s->view->print, value);
	} else {
		fprintf(print_file(s->view->print), ", %u bytes", x->size);
	}
	fputc('\n', print_file(s->view->print));
}

static void print_text_of(const struct subject *s)
{
	FILE *out = print_file(s->view->print);
	const struct rootfs_inode *inode = s->inode;
	const char *target = entry_target(s->view->rootfs, inode);
	print_text(s->view->print, s->path);
	if (target) {
		fputs(" -> ", out);
		print_text(s->view->print, target);
	}
	fprintf(out, "\n  type        %s\n  size        %" PRIu64 " bytes\n",
		entry_type(inode->mode), inode->size);
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		fprintf(out, "  device      %u, %u\n", inode->a, inode->b);
	fprintf(out, "  mode        %04o %s\n  owner       %u:%u\n",
		entry_mode_of(inode->mode) & 07777, entry_mode(inode->mode).text, inode->uid,
		inode->gid);
	fprintf(out, "  changed     %s\n  links       %u\n  inode       %u\n",
		entry_time_utc(inode->mtime_s, inode->mtime_ns).text, inode->nlink, s->number);
	for (size_t i = 0; i < s->xattr_count; i++)
		print_xattr(s, &s->xattrs[i]);
	if (inode->flags & ROOTFS_IMPLIED)
		fputs("  implied     no layer lists it\n", out);
	bool there = false;
	for (size_t i = 0; i < s->versions.count; i++) {
		print_version(s, &s->versions.all[i], there);
		there = !s->versions.all[i].removed;
	}
}

static int stat_one(struct view *view, const char *path, bool json, struct err *err)
{
	__attribute__((cleanup(subject_release))) struct subject s = { .view = view, .path = path };
	int r = take(&s, err);
	if (r < 0)
		return r;
	if (json)
		print_json(&s);
	else
		print_text_of(&s);
	return print_check(view->print, err);
}

static int run(int argc, char **argv)
{
	struct look_args args = LOOK_DEFAULTS;
	struct err err = { 0 };
	int operands, status;
	if (!begin_look(&cmd_stat, &args, argc, argv, 2, argc, &operands, &status))
		return status;
	auto_view view = { 0 };
	int r = view_open(&view, &args, false, argv[1], &err);
	for (int i = 2; r == 0 && i <= operands; i++)
		r = stat_one(&view, argv[i], args.json, &err);
	return view_end(&view, r, &err, 0);
}

const struct command cmd_stat = {
	.name = "stat",
	.operands = "IMAGE PATH...",
	.summary = "show what a file is, and which layers made it",
	.about = "Shows each PATH in IMAGE: what it is, and its history from the bottom layer up:\n"
		 "the layers that added, replaced or removed it, with the commands that made "
		 "them.\n",
	.options = options,
	.option_count = N_ELEMENTS(options),
	.run = run,
};
