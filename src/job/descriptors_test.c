/* descriptors_test.c: what fits under the limit of open files, with limits of the test's own. */
#include "descriptors.h"

#include <sys/resource.h>

#include "test.h"

/* In a process of its own each, since a hard limit that was lowered stays so. */
#include <sys/wait.h>
#include <unistd.h>

static wi_descriptors plan_under(rlim_t soft, rlim_t hard, int64_t wanted, int64_t lanes,
                                 rlim_t *raised)
{
    struct {
        wi_descriptors plan;
        rlim_t raised;
    } answer = {0};
    int ends[2];
    *raised = 0;
    if (!EXPECT(pipe(ends) == 0))
        return answer.plan;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {soft, hard};
        setrlimit(RLIMIT_NOFILE, &limit);
        answer.plan = wi_descriptors_plan(wanted, lanes, 1, true);
        wi_descriptors_raise(&answer.plan);
        getrlimit(RLIMIT_NOFILE, &limit);
        answer.raised = limit.rlim_cur;
        _exit(write(ends[1], &answer, sizeof answer) != sizeof answer);
    }
    EXPECT(read(ends[0], &answer, sizeof answer) == sizeof answer);
    int status = 1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    close(ends[0]);
    close(ends[1]);
    *raised = answer.raised;
    return answer.plan;
}

TEST(enough)
{
    rlim_t raised;
    wi_descriptors plan = plan_under(64, 1024, 100, 2, &raised);
    EXPECT_INT(plan.in_flight, 100);
    EXPECT(plan.needed > 100 && plan.needed <= 1024);
    EXPECT_INT(plan.allowed, 1024);
    EXPECT_INT(raised, plan.needed);
    plan = plan_under(1024, 1024, 100, 2, &raised);
    EXPECT_INT(plan.in_flight, 100);
    EXPECT_INT(raised, 1024); /* never lowered */
}

TEST(too_few)
{
    rlim_t raised;
    wi_descriptors plan = plan_under(64, 1024, 10000, 2, &raised);
    EXPECT_INT(plan.allowed, 1024);
    EXPECT(plan.needed > 10000);
    EXPECT(plan.in_flight >= 512 && plan.in_flight < 1024);
    EXPECT_INT(raised, 1024);
}

TEST(almost_none)
{
    static const rlim_t limits[] = {3, 4, 10, 63, 64, 65, 200};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        for (int64_t lanes = 1; lanes <= 64; lanes *= 4) {
            rlim_t raised;
            wi_descriptors plan = plan_under(limits[i], limits[i], 5000, lanes, &raised);
            EXPECT(plan.in_flight >= 1);
            EXPECT(plan.in_flight <= (int64_t)limits[i]);
            EXPECT_INT(plan_under(limits[i], limits[i], 1, lanes, &raised).in_flight, 1);
        }
}

TEST(none_kept)
{
    wi_descriptors one = wi_descriptors_plan(100, 2, 4, false);
    EXPECT(one.needed >= 400 && one.needed < 450);
    EXPECT_INT(one.lane_most, 100); /* each lane may have them all */
    EXPECT_INT(wi_descriptors_plan(200, 2, 4, false).needed, one.needed + 400);
}

TESTS(CASE(enough), CASE(too_few), CASE(almost_none), CASE(none_kept))
