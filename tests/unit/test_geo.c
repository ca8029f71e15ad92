/* Places: the examples of Redis's documentation, hostile words, searches in slices, and the sines
 * of our own beside those of the library. */
#include "test_command.h"

#include <math.h>

#include "command/geo_math.h"

#define CENTER "GEOSEARCH Sicily FROMLONLAT 15 37 "

static const struct typed examples[] = {
    {"GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2\r\n", NULL},
    {"GEODIST Sicily Palermo Catania", "$11\r\n166274.1516\r\n", NULL},
    {"GEODIST Sicily Palermo Catania km", "$8\r\n166.2742\r\n", NULL},
    {"GEODIST Sicily Palermo Catania mi", "$8\r\n103.3182\r\n", NULL},
    {"GEODIST Sicily Foo Bar", NIL2, NIL3},
    {"GEODIST none Foo Bar", NIL2, NIL3},
    {"GEORADIUS Sicily 15 37 100 km", "*1\r\n$7\r\nCatania\r\n", NULL},
    {"GEORADIUS Sicily 15 37 200 km", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n", NULL},
    {"GEORADIUS Sicily 15 37 200 km WITHDIST",
     "*2\r\n*2\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n",
     NULL},
    {"GEORADIUS Sicily 15 37 200 km WITHCOORD",
     "*2\r\n*2\r\n$7\r\nPalermo\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n"
     "38.11555639549629859\r\n*2\r\n$7\r\nCatania\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n"
     "37.50266842333162032\r\n",
     "*2\r\n*2\r\n$7\r\nPalermo\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n"
     "*2\r\n$7\r\nCatania\r\n*2\r\n,15.08726745843887329\r\n,37.50266842333162032\r\n"},
    {"GEOHASH Sicily Palermo Catania none",
     "*3\r\n$11\r\nsqc8b49rny0\r\n$11\r\nsqdtr74hyu0\r\n$-1\r\n",
     "*3\r\n$11\r\nsqc8b49rny0\r\n$11\r\nsqdtr74hyu0\r\n_\r\n"},
    {"GEOPOS Sicily Palermo NonExisting",
     "*2\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n",
     "*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n"},
    {"GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2", ":2\r\n", NULL},
    {CENTER "BYRADIUS 200 km ASC", "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n", NULL},
    {CENTER "BYBOX 400 400 km ASC WITHDIST",
     "*4\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n*2\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n"
     "*2\r\n$5\r\nedge2\r\n$8\r\n279.7403\r\n*2\r\n$5\r\nedge1\r\n$8\r\n279.7405\r\n",
     NULL},
    {"GEOSEARCHSTORE key1 Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3", ":3\r\n", NULL},
    {"GEOSEARCH key1 FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHHASH",
     "*3\r\n*2\r\n$7\r\nCatania\r\n:3479447370796909\r\n*2\r\n$7\r\nPalermo\r\n:"
     "3479099956230698\r\n"
     "*2\r\n$5\r\nedge2\r\n:3481342659049484\r\n",
     NULL},
    {"GEOSEARCHSTORE key2 Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3 STOREDIST", ":3\r\n",
     NULL},
    {"ZSCORE key2 Catania", "$16\r\n56.4412578701582\r\n", ",56.4412578701582\r\n"},
    {"GEOADD Sicily 13.583333 37.316667 Agrigento", ":1\r\n", NULL},
    {"GEORADIUSBYMEMBER Sicily Agrigento 100 km", "*2\r\n$9\r\nAgrigento\r\n$7\r\nPalermo\r\n",
     NULL},
    {"GEORADIUSBYMEMBER Sicily Agrigento 100 km STORE key3", ":2\r\n", NULL},
    {"GEORADIUSBYMEMBER_RO Sicily Agrigento 100 km DESC",
     "*2\r\n$7\r\nPalermo\r\n$9\r\nAgrigento\r\n", NULL},
    {"GEOADD Sicily XX CH 13 38 Palermo 1 1 none", ":1\r\n", NULL},
    {"GEOADD Sicily NX 1 1 Palermo", ":0\r\n", NULL},
    {"GEOSEARCHSTORE key3 none FROMLONLAT 1 1 BYRADIUS 1 m", ":0\r\n", NULL},
    {"EXISTS key3", ":0\r\n", NULL},
    /* At the ends of the map. */
    {"GEOADD e 180 85.05112878 pole -180 -85.05112878 other", ":2\r\n", NULL},
    {"GEOSEARCH e FROMMEMBER pole BYRADIUS 1 m", "*1\r\n$4\r\npole\r\n", NULL},
    {"GEOSEARCH e FROMMEMBER pole BYRADIUS 1e300 km DESC", "*1\r\n$4\r\npole\r\n", NULL},
    {"ZADD odd inf a -inf b -5 c 1e300 d 0.5 e", ":5\r\n", NULL},
    {"GEOPOS odd a d",
     "*2\r\n*2\r\n$22\r\n-179.99999731779098511\r\n$21\r\n-85.05112751263942528\r\n"
     "*2\r\n$22\r\n-179.99999731779098511\r\n$21\r\n-85.05112751263942528\r\n",
     "*2\r\n*2\r\n,-179.99999731779098511\r\n,-85.05112751263942528\r\n"
     "*2\r\n,-179.99999731779098511\r\n,-85.05112751263942528\r\n"},
    {"GEOSEARCH odd FROMLONLAT -180 -85 BYRADIUS 100 km", "*1\r\n$1\r\ne\r\n", NULL},
};

#define UNIT "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n"

static const struct typed wrong_words[] = {
    {"GEOADD g 1 1 a", ":1\r\n", NULL},
    {"GEOADD g 181 1 a", "-ERR invalid longitude,latitude pair 181.000000,1.000000\r\n", NULL},
    {"GEOADD g 1 86 a", "-ERR invalid longitude,latitude pair 1.000000,86.000000\r\n", NULL},
    {"GEOADD g x 1 a", "-ERR value is not a valid float\r\n", NULL},
    {"GEOADD g nan 1 a", "-ERR value is not a valid float\r\n", NULL},
    {"GEOADD g 1 1 a 2", SYNTAX, NULL},
    {"GEOADD g NX XX 1 1 a", SYNTAX, NULL},
    {"GEOADD g NX CH XX", SYNTAX, NULL},
    {"GEODIST g a a x", UNIT, NULL},
    {"GEODIST g a a m m", SYNTAX, NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS x m", "-ERR need numeric radius\r\n", NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS -1 m", "-ERR radius cannot be negative\r\n", NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 x", UNIT, NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYBOX x 1 m", "-ERR need numeric width\r\n", NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 x m", "-ERR need numeric height\r\n", NULL},
    {"GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 -1 m", "-ERR height or width cannot be negative\r\n",
     NULL},
    {"GEOSEARCH g FROMMEMBER a FROMLONLAT 1 1 BYRADIUS 1 m", SYNTAX, NULL},
    {"GEOSEARCH g FROMMEMBER a BYBOX 1 1 m BYRADIUS 1 m", SYNTAX, NULL},
    {"GEOSEARCH g FROMMEMBER a BYRADIUS 1 m STOREDIST", SYNTAX, NULL},
    {"GEOSEARCH g BYRADIUS 1 m ASC DESC",
     "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH\r\n", NULL},
    {"geosearch g FROMMEMBER a ASC DESC WITHDIST",
     "-ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch\r\n", NULL},
    {"GEOSEARCH g FROMMEMBER a BYRADIUS 1 m ANY",
     "-ERR the ANY argument requires COUNT argument\r\n", NULL},
    {"GEOSEARCH g FROMMEMBER a BYRADIUS 1 m COUNT 0", "-ERR COUNT must be > 0\r\n", NULL},
    {"GEOSEARCH g FROMMEMBER b BYRADIUS 1 m", "-ERR could not decode requested zset member\r\n",
     NULL},
    {"GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m WITHDIST",
     "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n",
     NULL},
    {"GEORADIUS g 1 1 1 m WITHDIST STORE d",
     "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD "
     "options\r\n",
     NULL},
    {"GEORADIUS_RO g 1 1 1 m STORE d", SYNTAX, NULL},
};

static void test_replies(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    world_expect_all(&world, examples, sizeof examples / sizeof examples[0]);
    world_expect_all(&world, wrong_words, sizeof wrong_words / sizeof wrong_words[0]);
    world_deinit(&world);
}

/* ---- many ------------------------------------------------------------------------------ */

enum { MANY = 12000, BATCH = 200 };

static void add_many(struct world *world)
{
    uint64_t dice = 1;
    for (int i = 0; i < MANY; i += BATCH) {
        struct buffer line = {0};
        buffer_printf(&line, "GEOADD g");
        for (int k = i; k < i + BATCH; k++) {
            double longitude = (double)prng_below(&dice, 1 << 20) / (1 << 20) * 10;
            double latitude = (double)prng_below(&dice, 1 << 20) / (1 << 20) * 10;
            buffer_printf(&line, " %.9f %.9f m%d", longitude, latitude, k);
        }
        buffer_append_byte(&line, '\0');
        EXPECT(world, line.data, ":200\r\n");
        buffer_deinit(&line);
    }
}

/* The distances in a reply WITHDIST, which rise (or fall); how many. */
static unsigned expect_sorted(struct world *world, const char *line, double sign)
{
    double last = -1e300, distance;
    unsigned count = 0;
    world_type(world, line);
    buffer_append_byte(&world->connection.out.bytes, '\0');
    const char *at = world->connection.out.bytes.data;
    for (; (at = strstr(at, "*2\r\n")); at++, count++) {
        assert_int_equal(sscanf(at, "*2 $%*d %*s $%*d %lf", &distance), 1);
        assert_true(sign * distance >= last);
        last = sign * distance;
    }
    return count;
}

static void test_searches_in_slices(void **state)
{
    struct world world;
    struct buffer first = {0};
    (void)state;
    world_init(&world);
    add_many(&world);
    db_checkpoint(world.db);
#define ALL "FROMLONLAT 5 5 BYRADIUS 2000 km "
    assert_int_equal(expect_sorted(&world, "GEOSEARCH g " ALL "ASC WITHDIST", 1), MANY);
    assert_true(world.pauses > 20);
    assert_int_equal(expect_sorted(&world, "GEOSEARCH g " ALL "DESC WITHDIST", -1), MANY);
    world.pauses = 0;
    assert_int_equal(expect_sorted(&world, "GEOSEARCH g " ALL "ASC WITHDIST COUNT 700", 1), 700);
    assert_true(world.pauses > 10);
    /* The nearest are those of all, wherever slices end. */
    EXPECT(&world, "GEOSEARCHSTORE near g " ALL "COUNT 700", ":700\r\n");
    EXPECT(&world, "GEOSEARCHSTORE all g " ALL "STOREDIST", ":12000\r\n");
    EXPECT(&world, "ZCARD all", ":12000\r\n");
    EXPECT(&world, "ZINTERCARD 2 near all", ":700\r\n");
    buffer_append_bytes(&first, world_type(&world, "ZRANGE all 0 699"));
    struct bytes nearest = world_type(&world, "GEOSEARCH g " ALL "COUNT 700");
    assert_true(bytes_equal(nearest, buffer_bytes(&first)));
    EXPECT(&world, "GEOSEARCHSTORE g g " ALL "COUNT 5", ":5\r\n"); /* over itself */
    EXPECT(&world, "ZCARD g", ":5\r\n");
    buffer_deinit(&first);
    world_deinit(&world);
}

/* ---- sines -------------------------------------------------------------------------------- */

enum { ANGLES = 20000 };

/* The nearest double to a result with 11 bits more, but for a few, where it is nearly as near to
 * two. */
static void compare(double ours, long double library, unsigned *others)
{
    double nearest = (double)library;
    *others += ours != nearest;
    assert_true(ours == nearest || ours == nextafter(nearest, ours));
}

static void test_sines(void **state)
{
    uint64_t dice = 1;
    unsigned others = 0;
    (void)state;
    for (int i = 0; i < ANGLES; i++) {
        double share = (double)prng_below(&dice, 1ull << 53) / (double)(1ull << 53);
        double x = (share * 2 - 1) * 3.14159, tiny = ldexp(share, -(int)prng_below(&dice, 60));
        compare(geo_sin(x), sinl(x), &others);
        compare(geo_cos(x), cosl(x), &others);
        compare(geo_sin(tiny), sinl(tiny), &others);
        compare(geo_asin(share), asinl(share), &others);
        compare(geo_asin(tiny), asinl(tiny), &others);
        compare(geo_asin(1 - tiny), asinl(1 - tiny), &others);
    }
    assert_true(others < 6 * ANGLES / 500);
    assert_true(geo_sin(0) == 0 && geo_cos(0) == 1 && geo_asin(0) == 0);
    assert_true(geo_asin(1) == 0x1.921fb54442d18p+0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_searches_in_slices),
        cmocka_unit_test(test_sines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
