/* Work on all of torch's threads, by the OpenMP runtime that torch has loaded.
 *
 * A runtime of our own would start threads of its own, and two of them compete for the
 * cores. So none is linked: native.py looks three functions up in torch's library, by
 * the names that GNU's compiler calls, which LLVM's and Intel's runtimes have too. Where
 * they are not found, and in a forked child, whose threads did not come with it, all is
 * done by the calling thread.
 */
#ifndef DROPBLOCK_THREADS_H
#define DROPBLOCK_THREADS_H

#include <stdint.h>

typedef void (*Work)(void *context, int member, int members);

static struct {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    int (*member)(void);
    int (*members)(void);
} runtime;

typedef struct {
    Work work;
    void *context;
} Team;

static void work_as_member(void *pointer) {
    const Team *team = (const Team *)pointer;
    team->work(team->context, runtime.member(), runtime.members());
}

/* Let `threads` call work(context, member, members), or fewer if there are fewer. */
static void in_parallel(Work work, void *context, int threads) {
    if (threads < 2 || !runtime.parallel) {
        work(context, 0, 1);
        return;
    }
    Team team = {work, context};
    runtime.parallel(work_as_member, &team, (unsigned)threads, 0);
}

#if defined(__GNUC__)
#define ADD_TOGETHER(sum, value) ((void)__atomic_fetch_add(&(sum), value, __ATOMIC_RELAXED))
#else /* one thread */
#define ADD_TOGETHER(sum, value) ((void)((sum) += (value)))
#endif

#endif
