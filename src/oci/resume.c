/* The table of resume.h.  A 206 counts only when it says exactly what was asked for. */
#include "oci/resume.h"

#include <strings.h>

#include "net/range.h"

static enum resume_verdict judge_partial(const struct resume_question *question,
					 const struct resume_answer *answer, uint64_t *end)
{
	static const char multipart[] = "multipart/";
	uint64_t first = 0, last = 0, total = 0;
	if (!question->ranged)
		return RESUME_REFUSE;
	if (answer->content_type &&
	    strncasecmp(answer->content_type, multipart, sizeof(multipart) - 1) == 0)
		return RESUME_RESTART;
	if (!answer->content_range ||
	    range_parse(answer->content_range, &first, &last, &total, NULL) < 0)
		return RESUME_RESTART;
	bool sized = question->size != RESUME_SIZE_UNKNOWN;
	if (first != question->at || (sized && last >= question->size) ||
	    (sized && total != RANGE_TOTAL_UNKNOWN && total != question->size))
		return RESUME_RESTART;
	*end = last + 1;
	return RESUME_GO;
}

enum resume_verdict resume_judge(const struct resume_question *question,
				 const struct resume_answer *answer, uint64_t *end)
{
	*end = RESUME_SIZE_UNKNOWN;
	switch (answer->status) {
	case 200:
		return question->at > 0 ? RESUME_SKIP : RESUME_GO;
	case 206:
		return judge_partial(question, answer, end);
	case 400: /* GitLab, 2019 */
	case 416:
	case 501:
		return question->ranged ? RESUME_RESTART : RESUME_REFUSE;
	default:
		return RESUME_REFUSE;
	}
}

enum resume_verdict resume_judge_part(const struct resume_question *question, uint64_t stop,
				      const struct resume_answer *answer, uint64_t *end)
{
	enum resume_verdict verdict = resume_judge(question, answer, end);
	bool whole = answer->status == 200;
	bool wide = *end != RESUME_SIZE_UNKNOWN && *end > stop;
	if (!whole && !wide)
		return verdict;
	*end = RESUME_SIZE_UNKNOWN;
	return RESUME_RESTART;
}
