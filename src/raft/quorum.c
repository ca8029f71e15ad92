/* Majorities.  Nothing here knows what is counted: match indices, read rounds. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

/*@ axiomatic Reaching { // how many of values[0 .. count) are at least `bound`
      logic integer reaching{L}(uint64_t *values, integer count, integer bound)
        reads values[0 .. count - 1];
      axiom reaching_none{L}: \forall uint64_t *values, integer bound;
        reaching(values, 0, bound) == 0;
      axiom reaching_one_more{L}: \forall uint64_t *values, integer count, integer bound;
        count >= 0 ==> reaching(values, count + 1, bound) ==
                       reaching(values, count, bound) + (values[count] >= bound ? 1 : 0);
    }

    // Two times the holders exceed the voters: any two majorities meet.
    predicate majority(integer holders, integer voters) = 2 * holders > voters;
*/

/*@ assigns \nothing;
    ensures \forall integer holders; holders >= \result <==> majority(holders, voters);
*/
uint32_t raft_quorum_size(uint32_t voters)
{
    return voters / 2 + 1;
}

/*@ requires \valid_read(values + (0 .. count - 1));
    assigns \nothing;
    ensures \result == reaching(values, count, bound) <= count;
*/
static uint32_t holders_of(const uint64_t *values, uint32_t count, uint64_t bound)
{
    uint32_t holders = 0;
    /*@ loop invariant 0 <= i <= count;
        loop invariant holders == reaching(values, i, bound) <= i;
        loop assigns i, holders;
        loop variant count - i;
    */
    for (uint32_t i = 0; i < count; i++)
        holders += values[i] >= bound;
    return holders;
}

/* Every bound that is reached at all is reached by as many as some value of the list: to know the
 * values is to know all bounds. */
/*@ predicate as_a_value(uint64_t *values, integer count, integer bound) =
      \exists integer j; 0 <= j < count && values[j] >= bound &&
        reaching(values, count, values[j]) == reaching(values, count, bound);
*/
/*@ ghost
    /@ requires \valid_read(values + (0 .. count - 1));
       assigns \nothing;
       ensures \forall integer bound; reaching(values, count, bound) > 0 ==>
                 as_a_value(values, count, bound);
       ensures reaching(values, count, 0) == count;
    @/
    void bounds_are_values(const uint64_t *values, uint32_t count)
    {
        /@ loop invariant 0 <= i <= count;
           loop invariant reaching(values, i, 0) == i;
           loop invariant \forall integer bound; 0 <= reaching(values, i, bound);
           loop invariant \forall integer low, integer high; low <= high ==>
                            reaching(values, i, high) <= reaching(values, i, low);
           loop invariant \forall integer bound; reaching(values, i, bound) > 0 ==>
                            as_a_value(values, i, bound);
           loop assigns i;
           loop variant count - i;
        @/
        for (uint32_t i = 0; i < count; i++) {
            uint64_t last = values[i];
            /@ assert \forall integer bound; reaching(values, i + 1, bound) ==
                        reaching(values, i, bound) + (last >= bound ? 1 : 0);
            @/
            /@ assert falls: \forall integer low, integer high; low <= high ==>
                        reaching(values, i + 1, high) <= reaching(values, i + 1, low);
            @/
            /@ assert above: \forall integer bound; last < bound &&
                        reaching(values, i, bound) > 0 ==> as_a_value(values, i + 1, bound);
            @/
            /@ assert between: \forall integer bound; last >= bound &&
                        reaching(values, i, bound) > 0 ==>
                        reaching(values, i, last) == reaching(values, i, bound) ||
                        \exists integer j; 0 <= j < i && last >= values[j] >= bound &&
                          reaching(values, i, values[j]) == reaching(values, i, bound);
            @/
            /@ assert below: \forall integer bound; last >= bound &&
                        reaching(values, i, bound) > 0 ==> as_a_value(values, i + 1, bound);
            @/
            /@ assert first: \forall integer bound; last >= bound &&
                        reaching(values, i, bound) == 0 ==> as_a_value(values, i + 1, bound);
            @/
            /@ assert nonneg: \forall integer bound; 0 <= reaching(values, i + 1, bound); @/
            /@ assert all: \forall integer bound; reaching(values, i + 1, bound) > 0 ==>
                        as_a_value(values, i + 1, bound);
            @/
            /@ assert fits: (uint32_t)(i + 1) == i + 1; @/
        }
    }
*/

/*@ requires \valid_read(values + (0 .. count - 1));
    requires 0 < count < UINT32_MAX;
    assigns \nothing;
    ensures held: majority(reaching(values, count, \result), count);
    ensures largest: \forall integer higher; higher > \result ==>
                       !majority(reaching(values, count, higher), count);
*/
uint64_t raft_quorum_reached(const uint64_t *values, uint32_t count)
{
    check(count > 0);
    uint64_t best = 0;
    //@ ghost bounds_are_values(values, count);
    /*@ loop invariant 0 <= i <= count;
        loop invariant majority(reaching(values, count, best), count);
        loop invariant \forall integer j; 0 <= j < i && values[j] > best ==>
                         !majority(reaching(values, count, values[j]), count);
        loop assigns i, best;
        loop variant count - i;
    */
    for (uint32_t i = 0; i < count; i++)
        if (values[i] > best && holders_of(values, count, values[i]) >= raft_quorum_size(count))
            best = values[i];
    return best;
}
