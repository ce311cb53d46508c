/* What history, inspect and explore show of a config's "created_by". */
#include "cmd/command-text.h"

#include <string.h>

#include "base/esc.h"
#include "base/utf8.h"

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\n");
}

void command_text(struct str *out, const struct config_step *step)
{
	static const char shell[] = "/bin/sh -c ", nop[] = "#(nop)", buildkit[] = "# buildkit";
	if (!step)
		return;
	const char *text = *step->created_by ? step->created_by : step->comment;
	if (str_starts(text, shell)) {
		text = skip_blanks(text + strlen(shell));
		if (str_starts(text, nop))
			text = skip_blanks(text + strlen(nop));
		else
			str_add(out, "RUN ");
	}
	size_t length = strlen(text);
	if (str_ends(text, buildkit))
		length -= strlen(buildkit);
	while (length > 0 && strchr(" \t\n", text[length - 1]))
		length--;
	/* lines of a script become one; anything else that could drive a terminal is escaped */
	for (size_t i = 0; i < length;) {
		size_t n = strcspn(text + i, "\t\n");
		n = n < length - i ? n : length - i;
		esc_add(out, text + i, n);
		i += n;
		if (i < length)
			str_addc(out, ' ');
		i += i < length;
	}
}

void command_cut(struct str *text, size_t columns)
{
	static const char dots[] = "...";
	size_t room = columns > strlen(dots) ? columns - strlen(dots) : 0;
	if (text->failed || text->length <= columns)
		return;
	text->length = utf8_cut(text->data, room);
	text->data[text->length] = '\0';
	str_add(text, dots);
}
