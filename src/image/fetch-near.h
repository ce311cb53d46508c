/*
 * What lies near a span: what the layer's tree has in the same directory, and a little of what lies
 * beside that in the blob.  Programs read files of one directory one after the other (modules,
 * locales, headers), and each would cost a round trip.  Pure arithmetic over a table.
 */
#pragma once

#include "layer/table.h"

#define FETCH_NEAR_FIRST_BYTES (64u * 1024)	   /* of the directory, to each side, at first */
#define FETCH_NEAR_INSIDE_BYTES (256u * 1024)	   /* once files of the layer are read in earnest */
#define FETCH_NEAR_EARNEST 4u			   /* after so many looks */
#define FETCH_NEAR_INSIDE_MAX_BYTES (2048u * 1024) /* when it was missed often */
#define FETCH_NEAR_OUTSIDE_BYTES (32u * 1024)	   /* beyond it, to each side */
#define FETCH_NEAR_SPAN_MAX_BYTES (400u * 1024)	   /* larger ones are not taken along */

struct fetch_near;
/* NULL where spans are not of single files, so that nothing is to be learned. */
struct fetch_near *fetch_near_new(struct table *table);
void fetch_near_free(struct fetch_near *near);
DEFINE_AUTO(fetch_near)

/*
 * Call WANT for the spans near SPAN, the nearest first, those behind it before those in front of
 * it.  Each further call for the same directory looks further.  Returns the last span it went to.
 */
uint32_t fetch_near_look(struct fetch_near *near, uint32_t span,
			 void (*want)(void *arg, uint32_t span), void *arg);
