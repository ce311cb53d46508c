/*
 * A recursive descent over the words, of bounded depth; nodes lie in one array and refer to each
 * other by number.  The table of tests says what each wants; find.c's options say it to people.
 */
#include "cmd/find-expr.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/esc.h"
#include "base/str.h"
#include "cmd/entry.h"
#include "cmd/find-values.h"
#include "image/rootfs-path.h"

#define NODES_MAX 4096u
#define DEPTH_MAX 64u
#define NO_NODE UINT32_MAX

enum op { OP_TEST, OP_AND, OP_OR, OP_NOT };

struct node {
	enum op op;
	uint32_t left, right; /* of operators */
	/* of tests; NULL: always true */
	bool (*holds)(const struct node *node, const struct find_subject *subject);
	const char *text; /* borrowed from argv */
	struct find_number number;
	struct find_perm perm;
	int64_t seconds;
	uint32_t nanoseconds;
};

struct find_expr {
	struct node *nodes; /* owned */
	size_t count, capacity;
	uint32_t root;
};

/* ---- the tests: reading what they want, and whether they hold */

static bool read_text(struct node *node, const char *value)
{
	node->text = value;
	return true;
}

static bool read_types(struct node *node, const char *value)
{
	node->text = value;
	for (;; value++) {
		if (!*value || !strchr("fdlbcp", *value))
			return false;
		if (*++value != ',')
			return *value == '\0';
	}
}

static bool read_size(struct node *node, const char *value)
{
	return find_parse_size(&node->number, value);
}

static bool read_number(struct node *node, const char *value)
{
	return find_parse_number(&node->number, value);
}

static bool read_perm(struct node *node, const char *value)
{
	return find_parse_perm(&node->perm, value);
}

static bool name_holds(const struct node *node, const struct find_subject *s)
{
	return fnmatch(node->text, s->name, 0) == 0;
}

static bool iname_holds(const struct node *node, const struct find_subject *s)
{
	return fnmatch(node->text, s->name, FNM_CASEFOLD) == 0;
}

static bool path_holds(const struct node *node, const struct find_subject *s)
{
	return fnmatch(node->text, s->path, 0) == 0;
}

static bool type_holds(const struct node *node, const struct find_subject *s)
{
	uint32_t mode = s->inode->mode;
	char type = S_ISDIR(mode)    ? 'd'
		    : S_ISLNK(mode)  ? 'l'
		    : S_ISCHR(mode)  ? 'c'
		    : S_ISBLK(mode)  ? 'b'
		    : S_ISFIFO(mode) ? 'p'
				     : 'f';
	return strchr(node->text, type) != NULL;
}

static bool size_holds(const struct node *node, const struct find_subject *s)
{
	return find_number_holds(&node->number, s->inode->size);
}

static bool newer_holds(const struct node *node, const struct find_subject *s)
{
	if (s->inode->mtime_s != node->seconds)
		return s->inode->mtime_s > node->seconds;
	return s->inode->mtime_ns > node->nanoseconds;
}

/* A path is looked up later, when there is an image (find_expr_resolve). */
static bool read_newer(struct node *node, const char *value)
{
	node->text = value;
	return *value == '/' || find_parse_time(&node->seconds, value);
}

static bool perm_holds(const struct node *node, const struct find_subject *s)
{
	return find_perm_holds(&node->perm, entry_mode_of(s->inode->mode));
}

static bool layer_holds(const struct node *node, const struct find_subject *s)
{
	return find_number_holds(&node->number, s->inode->layer + 1u);
}

static bool uid_holds(const struct node *node, const struct find_subject *s)
{
	return find_number_holds(&node->number, s->inode->uid);
}

static bool gid_holds(const struct node *node, const struct find_subject *s)
{
	return find_number_holds(&node->number, s->inode->gid);
}

static bool empty_holds(const struct node *node, const struct find_subject *s)
{
	(void)node;
	if (S_ISDIR(s->inode->mode))
		return s->inode->b == 0;
	return S_ISREG(s->inode->mode) && s->inode->size == 0;
}

struct word {
	const char *name;
	bool (*read)(struct node *node, const char *value); /* NULL: it takes no value */
	bool (*holds)(const struct node *node, const struct find_subject *subject);
	/* no test: set in LIMITS; true when VALUE is right */
	bool (*limit)(struct find_limits *limits, const char *value);
};

static bool read_depth(unsigned *out, const char *value)
{
	unsigned long long n;
	if (!str_parse_u64(value, &n) || n > UINT32_MAX)
		return false;
	*out = (unsigned)n;
	return true;
}

static bool limit_min(struct find_limits *limits, const char *value)
{
	return read_depth(&limits->min_depth, value);
}

static bool limit_max(struct find_limits *limits, const char *value)
{
	return read_depth(&limits->max_depth, value);
}

static bool limit_print0(struct find_limits *limits, const char *value)
{
	(void)value;
	limits->print0 = true;
	return true;
}

static bool limit_none(struct find_limits *limits, const char *value)
{
	(void)limits;
	(void)value;
	return true;
}

static const struct word words_known[] = {
	{ "name", read_text, name_holds, NULL },      { "iname", read_text, iname_holds, NULL },
	{ "path", read_text, path_holds, NULL },      { "type", read_types, type_holds, NULL },
	{ "size", read_size, size_holds, NULL },      { "newer", read_newer, newer_holds, NULL },
	{ "newermt", read_newer, newer_holds, NULL }, { "perm", read_perm, perm_holds, NULL },
	{ "layer", read_number, layer_holds, NULL },  { "uid", read_number, uid_holds, NULL },
	{ "gid", read_number, gid_holds, NULL },      { "empty", NULL, empty_holds, NULL },
	{ "mindepth", read_text, NULL, limit_min },   { "maxdepth", read_text, NULL, limit_max },
	{ "print0", NULL, NULL, limit_print0 },	      { "print", NULL, NULL, limit_none },
};

static const char *const operators[] = { "!", "(", ")", "-not", "-a", "-and", "-o", "-or" };

void find_expr_free(struct find_expr *expr)
{
	if (!expr)
		return;
	free(expr->nodes);
	free(expr);
}

void find_words_release(struct find_words *words)
{
	free(words->all);
}

/* ---- which words are the expression's */

static const struct word *find_word(const char *arg)
{
	if (arg[0] != '-' || !arg[1])
		return NULL;
	const char *name = arg + 1 + (arg[1] == '-');
	for (size_t i = 0; i < N_ELEMENTS(words_known); i++) {
		if (str_equal(words_known[i].name, name))
			return &words_known[i];
	}
	return NULL;
}

static bool is_operator(const char *arg)
{
	for (size_t i = 0; i < N_ELEMENTS(operators); i++) {
		if (str_equal(operators[i], arg))
			return true;
	}
	return false;
}

/* "--name=VALUE", as options may be written: the value, or NULL. */
static const char *value_in(const char *arg)
{
	const char *equals = str_starts(arg, "--") ? strchr(arg, '=') : NULL;
	if (!equals)
		return NULL;
	auto_free char *name = mem_strndup(arg, (size_t)(equals - arg));
	const struct word *word = find_word(name);
	return word && word->read ? equals + 1 : NULL;
}

/* The word itself, then its value if it has one. */
static int take(struct find_words *out, int argc, char **argv, int *at, struct err *err)
{
	const char *arg = argv[*at], *value = value_in(arg);
	const struct word *word = find_word(arg);
	for (size_t i = 0; value && i < N_ELEMENTS(words_known); i++) {
		size_t n = strlen(words_known[i].name);
		if (strncmp(arg + 2, words_known[i].name, n) == 0 && arg[2 + n] == '=')
			word = &words_known[i];
	}
	out->all[out->count++] = word ? word->name : arg;
	if (!word || !word->read)
		return 0;
	if (!value && *at + 1 >= argc)
		return err_set(err, EINVAL, "'-%s' wants a value", word->name);
	out->all[out->count++] = value ? value : argv[++*at];
	return 0;
}

int find_words_take(struct find_words *out, int *argc, char **argv, struct err *err)
{
	int kept = 1;
	bool ended = false;
	/* "--name=VALUE" is two words */
	out->all = mem_new((2 * (size_t)*argc + 1) * sizeof(*out->all));
	for (int i = 1; i < *argc; i++) {
		const char *arg = argv[i];
		ended |= str_equal(arg, "--");
		if (ended || (!find_word(arg) && !is_operator(arg) && !value_in(arg))) {
			argv[kept++] = argv[i];
			continue;
		}
		int r = take(out, *argc, argv, &i, err);
		if (r < 0)
			return r;
	}
	*argc = kept;
	return 0;
}

/* ---- parsing */

struct parser {
	struct find_expr *expr;		/* borrowed */
	struct find_limits *limits;	/* borrowed */
	const struct find_words *words; /* borrowed */
	size_t at;
	unsigned depth;
};

static const char *peek(const struct parser *p)
{
	return p->at < p->words->count ? p->words->all[p->at] : NULL;
}

static bool at_word(const struct parser *p, const char *a, const char *b)
{
	return str_equal(peek(p), a) || (b && str_equal(peek(p), b));
}

static int add_node(struct parser *p, const struct node *node, uint32_t *out, struct err *err)
{
	struct find_expr *e = p->expr;
	if (e->count == NODES_MAX)
		return err_set(err, E2BIG, "an expression of more than %u parts", NODES_MAX);
	e->nodes = mem_grow(e->nodes, &e->capacity, e->count, sizeof(*e->nodes));
	e->nodes[e->count] = *node;
	*out = (uint32_t)e->count++;
	return 0;
}

static int parse_test(struct parser *p, uint32_t *out, struct err *err)
{
	const char *name = peek(p);
	const struct word *word = NULL;
	for (size_t i = 0; name && i < N_ELEMENTS(words_known); i++) {
		if (str_equal(words_known[i].name, name))
			word = &words_known[i];
	}
	if (!word)
		return err_set(err, EINVAL, "a test is expected %s%s%s",
			       name ? "before '" : "at the end", name ? esc(name) : "",
			       name ? "'" : "");
	p->at++;
	struct node node = { .holds = word->holds };
	const char *value = word->read ? p->words->all[p->at++] : NULL;
	bool right = word->limit  ? word->limit(p->limits, value)
		     : word->read ? word->read(&node, value)
				  : true;
	if (!right)
		return err_set(err, EINVAL, "'-%s' does not take '%s'", name, esc(value));
	return add_node(p, &node, out, err);
}

static int parse_or(struct parser *p, uint32_t *out, struct err *err);

static int parse_group(struct parser *p, uint32_t *out, struct err *err)
{
	p->at++;
	int r = parse_or(p, out, err);
	if (r == 0 && !at_word(p, ")", NULL))
		r = err_set(err, EINVAL, "a ')' is missing");
	p->at++;
	return r;
}

static int parse_factor(struct parser *p, uint32_t *out, struct err *err)
{
	if (++p->depth > DEPTH_MAX)
		return err_set(err, E2BIG, "an expression deeper than %u", DEPTH_MAX);
	int r;
	if (at_word(p, "!", "-not")) {
		struct node node = { .op = OP_NOT };
		p->at++;
		r = parse_factor(p, &node.left, err);
		if (r == 0)
			r = add_node(p, &node, out, err);
	} else if (at_word(p, "(", NULL)) {
		r = parse_group(p, out, err);
	} else {
		r = parse_test(p, out, err);
	}
	p->depth--;
	return r;
}

static int parse_and(struct parser *p, uint32_t *out, struct err *err)
{
	int r = parse_factor(p, out, err);
	while (r == 0 && peek(p) && !at_word(p, ")", NULL) && !at_word(p, "-o", "-or")) {
		struct node node = { .op = OP_AND, .left = *out };
		if (at_word(p, "-a", "-and"))
			p->at++;
		r = parse_factor(p, &node.right, err);
		if (r == 0)
			r = add_node(p, &node, out, err);
	}
	return r;
}

static int parse_or(struct parser *p, uint32_t *out, struct err *err)
{
	int r = parse_and(p, out, err);
	while (r == 0 && at_word(p, "-o", "-or")) {
		struct node node = { .op = OP_OR, .left = *out };
		p->at++;
		r = parse_and(p, &node.right, err);
		if (r == 0)
			r = add_node(p, &node, out, err);
	}
	return r;
}

int find_expr_parse(struct find_expr **out, struct find_limits *limits,
		    const struct find_words *words, struct err *err)
{
	AUTO(find_expr) expr = mem_new(sizeof(*expr));
	struct parser p = { .expr = expr, .limits = limits, .words = words };
	*limits = (struct find_limits){ .max_depth = UINT32_MAX };
	int r = words->count > 0 ? parse_or(&p, &expr->root, err)
				 : add_node(&p, &(struct node){ .op = OP_TEST }, &expr->root, err);
	if (r == 0 && peek(&p))
		r = err_set(err, EINVAL, "'%s' has nothing it belongs to", esc(peek(&p)));
	if (r < 0)
		return r;
	*out = TAKE(expr);
	return 0;
}

int find_expr_resolve(struct find_expr *expr, const struct rootfs *rootfs, struct err *err)
{
	for (size_t i = 0; i < expr->count; i++) {
		struct node *node = &expr->nodes[i];
		uint32_t number;
		if (node->holds != newer_holds || node->text[0] != '/')
			continue;
		int r = rootfs_resolve(rootfs, node->text, false, &number, err);
		if (r < 0)
			return r;
		node->seconds = rootfs_inode(rootfs, number)->mtime_s;
		node->nanoseconds = rootfs_inode(rootfs, number)->mtime_ns;
	}
	return 0;
}

/* ---- matching */

static bool holds(const struct find_expr *expr, uint32_t number, const struct find_subject *s)
{
	const struct node *node = &expr->nodes[number];
	switch (node->op) {
	case OP_AND:
		return holds(expr, node->left, s) && holds(expr, node->right, s);
	case OP_OR:
		return holds(expr, node->left, s) || holds(expr, node->right, s);
	case OP_NOT:
		return !holds(expr, node->left, s);
	case OP_TEST:
	default:
		return !node->holds || node->holds(node, s);
	}
}

bool find_expr_match(const struct find_expr *expr, const struct find_subject *subject)
{
	return holds(expr, expr->root, subject);
}
