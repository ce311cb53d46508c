/*
 * "rootlet completion bash|zsh|fish": the scripts are few lines that collect the words, ask
 * "rootlet completion --words" and show its answer, so that only complete.c knows anything.
 *
 * bash breaks words at ':' and '=', which names of images and options are full of: the script puts
 * them together again, and takes off again what bash believes to be there already.
 */
#include "cmd/begin.h"
#include "cmd/completion.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/esc.h"
#include "base/mem.h"
#include "base/str.h"

static const char bash[] =
	"# bash completion for rootlet\n"
	"_rootlet() {\n"
	"\tlocal i line=${COMP_LINE:0:COMP_POINT} word glued last kind answer\n"
	"\tlocal -a words=()\n"
	"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tglued=no\n"
	"\t\tif [[ $i -gt 0 && $line != [[:space:]]* ]]; then glued=yes; fi\n"
	"\t\tline=${line#\"${line%%[![:space:]]*}\"}\n"
	"\t\tif [[ $i -eq $COMP_CWORD ]]; then word=$line; fi\n"
	"\t\tline=${line:${#word}}\n"
	"\t\tword=${word//\\\\/}\n"
	"\t\tif [[ $glued = yes ]]; then words[-1]+=$word; else words+=(\"$word\"); fi\n"
	"\tdone\n"
	"\tlast=${words[-1]}\n"
	"\tCOMPREPLY=()\n"
	"\tmapfile -t answer < <(\"${words[0]}\" completion --words -- \"${words[@]:1}\" "
	"2>/dev/null)\n"
	"\tkind=${answer[0]}\n"
	"\tif [[ $kind = :files ]]; then mapfile -t answer < <(printf '\\n'; compgen -f -- "
	"\"$last\"); fi\n"
	"\tif [[ $kind = :dirs ]]; then mapfile -t answer < <(printf '\\n'; compgen -d -- "
	"\"$last\"); fi\n"
	"\tif [[ $kind = :files || $kind = :dirs ]]; then compopt -o filenames; fi\n"
	"\tfor word in \"${answer[@]:1}\"; do\n"
	"\t\tword=${word%%$'\\t'*}\n"
	"\t\tif [[ $word = */ ]]; then compopt -o nospace; fi\n"
	"\t\tif [[ $kind = :words ]]; then printf -v word %q \"$word\"; fi\n"
	"\t\tif [[ $last = *[:=]* ]]; then word=${word#\"${last%\"${last##*[:=]}\"}\"}; fi\n"
	"\t\tCOMPREPLY+=(\"$word\")\n"
	"\tdone\n"
	"}\n"
	"complete -F _rootlet rootlet\n";

static const char zsh[] =
	"#compdef rootlet\n"
	"# zsh completion for rootlet\n"
	"_rootlet() {\n"
	"\tlocal line kind\n"
	"\tlocal -a answer plain open words_now shown\n"
	"\twords_now=(\"${(@Q)words[1,CURRENT]}\")\n"
	"\tanswer=(\"${(@f)$(\"${words_now[1]}\" completion --words -- "
	"\"${(@)words_now[2,-1]}\" 2>/dev/null)}\")\n"
	"\tkind=${answer[1]}\n"
	"\tif [[ $kind = :files ]]; then _files; return; fi\n"
	"\tif [[ $kind = :dirs ]]; then _files -/; return; fi\n"
	"\tfor line in \"${(@)answer[2,-1]}\"; do\n"
	"\t\tif [[ $line = */ ]]; then\n"
	"\t\t\topen+=(\"$line\")\n"
	"\t\telse\n"
	"\t\t\tplain+=(\"${line%%$'\\t'*}\")\n"
	"\t\t\tshown+=(\"${line/$'\\t'/  }\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif (( $#open )); then compadd -S '' -- \"${(@)open}\"; fi\n"
	"\tif (( $#plain )); then compadd -l -d shown -- \"${(@)plain}\"; fi\n"
	"\t(( $#open + $#plain ))\n"
	"}\n"
	"if [[ ${funcstack[1]} = _rootlet ]]; then _rootlet \"$@\"; else compdef _rootlet "
	"rootlet; fi\n";

static const char fish[] =
	"# fish completion for rootlet\n"
	"function __rootlet_complete\n"
	"\tset -l words (commandline -opc) (commandline -ct)\n"
	"\tset -l answer ($words[1] completion --words -- $words[2..-1] 2>/dev/null)\n"
	"\tswitch \"$answer[1]\"\n"
	"\t\tcase :files\n"
	"\t\t\t__fish_complete_path (commandline -ct)\n"
	"\t\tcase :dirs\n"
	"\t\t\t__fish_complete_directories (commandline -ct)\n"
	"\tend\n"
	"\tprintf '%s\\n' $answer[2..-1]\n"
	"end\n"
	"complete -c rootlet -f -a '(__rootlet_complete)'\n";

static const struct shell {
	const char *name, *script;
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

static int print_script(const char *name, struct err *err)
{
	for (size_t i = 0; i < N_ELEMENTS(shells); i++) {
		if (str_equal(shells[i].name, name)) {
			(void)fputs(shells[i].script, stdout);
			return 0;
		}
	}
	return err_set(err, EINVAL, "wants bash, zsh or fish, not '%s'", esc(name));
}

int completion_run(const struct command *self, const struct commands *commands, int argc,
		   char **argv)
{
	struct completion_args args = { 0 };
	struct err err = { 0 };
	int operands, status, r = 0;
	if (!begin_command(self, &args, &args.help, argc, argv, 1, INT_MAX, &operands, &status))
		return status;
	if (operands > 1 && !args.words) {
		(void)err_set(&err, EINVAL, "wants one of bash, zsh and fish");
		return cmd_usage(self->name, &err);
	}
	if (args.words)
		complete_words(stdout, commands, (const char *const *)argv + 1, (size_t)operands);
	else
		r = print_script(argv[1], &err);
	return r < 0 ? cmd_usage(self->name, &err) : cmd_finish_stdout();
}
