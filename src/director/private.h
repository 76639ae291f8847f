/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the director know of each other. Words: an *edge* is configured; a *life* is what the tick knows of it; a *group* are sites
 * that are ranked alike, a *member* is an edge in a group; an *area* are places near one another; a *number* stands for the clients that
 * share rows: a class of an area's networks, or one network that was measured.
 */
#ifndef DIRECTOR_PRIVATE_H
#define DIRECTOR_PRIVATE_H

#include "director/director.h"

#include <math.h>
#include <stdatomic.h>

enum {
    ROW_MEMBERS = 8,
    MEMBER_NONE = UINT16_MAX,
    MEMBER_FAR = 1 << 15, /* of a row: it lies far behind the first one */
    SHORTLIST = 24,       /* nearest edges that a large group is ranked over, */
    SHORTLIST_MOST = 32,  /* with some of those that are as near as the last of them */
    SMALL_GROUP = 64,     /* edges; ranked whole */
    CLASSES_UNIT =
        24, /* 4!: of two, three and four equal edges each stands first, and second, equally often */
    CLASSES_MOST = 240,
    WAYS = 8, /* networks in a set: a line of the cache */
};

/* ---- configured ---- */

struct edge {
    uint32_t region;
    float point[3]; /* on the unit sphere; zero: nowhere */
    bool has_point;
    bool has_ipv4, has_ipv6;
    uint8_t ipv4[4], ipv6[16]; /* the first of each family */
    float capacity;
    uint32_t cost;
    float turn; /* 0..1: whose clients go first when it sheds load */
};

struct area {
    uint32_t region;
    float point[3];
    bool has_point;
};

struct group {
    uint32_t first; /* member */
    uint32_t count;
    uint16_t *member_of; /* by edge; NULL: the group is small, and ranked whole */
    uint32_t *edges, *gateways;
    uint32_t gateway_count;
    const struct director_policy *policy;
    uint32_t site;  /* the first of them */
    uint32_t sites; /* that share it */
    uint8_t floor_percent;
    bool fails_closed, has_inventory;
    bool has_ipv4, has_ipv6; /* any of its edges */
};

struct site {
    uint32_t group, ttl_s;
    uint8_t answers;
};

/* ---- what the tick knows ---- */

struct life {
    enum director_state reported; /* as of the last tick */
    enum director_state state;    /* that answers go by */
    bool is_known;                /* there was a tick */
    bool was_presumed;            /* then */
    bool is_full, is_damped;
    float flaps;      /* penalty */
    uint64_t died_ns; /* last */
    float load;       /* smoothed; NAN: not known */
    float share;      /* of its clients that it takes */
    float effect;     /* the share that loads show by now: follows it slowly */
};

/* What a channel (edge and its best gateway) comes to, apart from the client. */
struct member {
    uint16_t edge;
    uint16_t gateway;                 /* MEMBER_NONE */
    uint8_t dropped;                  /* by a leading filter: number of the step + 1 */
    float part;                       /* of a sum: what is added; of a product: the factor */
    float keys[DIRECTOR_SORTS_LIMIT]; /* of sorts that do not look at the client */
};

/* How the answers may use a member. */
enum standing {
    STANDING_GOOD,
    STANDING_FULL, /* behind the good ones */
    STANDING_OUT,
};

struct lot;

/* Round trips to all edges from one number's clients. */
struct estimate {
    const struct area *area;
    uint32_t area_number;
    const struct address *network; /* NULL: the whole area */
    float *ms;                     /* by edge */
    float *penalty_ms;             /* with what being unsure costs */
    float *probe_ms;               /* NAN: not probed */
    float *confidence;
    uint8_t *sources; /* enum director_source */
    uint16_t *shortlist;
    uint32_t shortlist_count;
    uint16_t *ties; /* edges of which only some are on the list: others for other lots */
    uint32_t tie_count, near_count;
    uint32_t work; /* rows and candidates looked at */
    bool has_probes;
    float *spare; /* for making the shortlist */
};

enum { CANDIDATE_UNSEEN = UINT8_MAX };

struct candidate {
    uint16_t member;
    uint16_t tier; /* of the order: equally good ones have the same number */
    uint8_t
        dropped; /* by a filter or `take`: number of the step + 1; CANDIDATE_UNSEEN: by the end of the search */
    bool is_usable;
    bool is_closed; /* it sheds this number */
    bool is_taken;  /* by the order in the making */
    float score;
};

/* What a ranking is made from; explain puts its own suppositions here. */
struct sight {
    const struct director *director;
    const struct director_facts *facts;
    const struct life *lives;
    const struct group *group;
    const struct member *members;     /* of the group */
    const _Atomic uint8_t *standings; /* of the group */
};

/* The candidates of a group in an estimate, before they are put in the order of one number. */
struct field {
    struct candidate *items, *order; /* the latter of one number */
    uint32_t count;                  /* that may be chosen; those that were dropped follow */
    uint32_t all;
    uint32_t order_count;
    uint32_t evaluated;
    bool was_cut_short, was_unfiltered;
    bool is_ordered; /* by sorts: equals are not spread */
    bool is_sorted;
    bool is_alike; /* the order does not depend on the lot */
};

/* Where a number stands among all: which of equals it takes first, and whether it is shed. */
struct lot {
    float order, share; /* 0..1 */
};

struct row {
    _Atomic uint64_t words[ROW_MEMBERS / 4];
};
_Static_assert((int)DIRECTOR_EDGES_LIMIT <= (int)MEMBER_FAR,
               "a row has a bit of each member to itself");

/* The member of a place in a row. */
static inline uint16_t row_member(uint16_t place)
{
    return place == MEMBER_NONE ? place : (uint16_t)(place & ~MEMBER_FAR);
}

struct row_state {
    uint16_t challenger; /* member; MEMBER_NONE */
    uint16_t since_ds;   /* tenths of a second, modulo */
    uint16_t shed;       /* member that gave this number away; MEMBER_NONE */
};

struct tracked {          /* a measured network */
    _Atomic uint64_t key; /* 0: free */
};

struct tracked_state {
    struct address address;
    struct area home; /* its own place */
    uint32_t area;    /* that it lies in */
    uint32_t activity;
};

struct director {
    const struct maps *maps;
    struct director_tuning tuning;
    struct edge *edges;
    uint32_t edge_count, gateway_count;
    struct site *sites;
    uint32_t site_count;
    struct director_policy **policies; /* each text once */
    uint32_t policy_count;
    struct group *groups;
    uint32_t group_count;
    bool has_large_groups;
    uint32_t member_count;
    struct member *members;
    _Atomic uint8_t *standings;

    uint16_t *distances; /* [region][edge] */
    uint32_t *area_of_place;
    struct area *areas;
    uint32_t area_count, classes;
    uint32_t wide_count; /* area_count * classes: measured networks' numbers follow */
    uint32_t set_mask;   /* of sets of measured networks */
    uint32_t tracked_count;
    struct tracked *tracked;
    struct tracked_state *tracked_states;
    float *learned;      /* [area][edge]: by how many ms maps say too little; NULL: too many */
    uint8_t *learned_of; /* how many measurements that stands for */
    float *edge_learned; /* the same of all areas */

    struct row *rows; /* [number][group] */
    struct row_state *row_states;
    uint64_t *ranked_ns; /* by number; of an area: of its first class */

    struct life *lives;
    uint64_t ticked_ns;
    uint64_t round_started_ns;
    uint32_t next; /* number (the first class of an area) to be ranked */
    uint32_t next_group;
    uint32_t next_group_members, next_slot;
    bool is_in_round;
    struct estimate estimate;
    struct field field;
    struct director_figures figures;
};

static inline uint32_t number_count(const struct director *director)
{
    return director->wide_count + director->tracked_count;
}

static inline size_t row_at(const struct director *director, uint32_t number, uint32_t group)
{
    return (size_t)number * director->group_count + group;
}

/* ---- areas.c: places near one another */

void areas_make(struct director *director, uint32_t limit);
void areas_clear(struct director *director);
void point_on_sphere(struct maps_point point, float out[3]);
float sphere_ms(const float a[3], const float b[3]); /* a round trip on the great circle in fibre */

/* ---- networks.c: numbers of clients */

void networks_make(struct director *director, uint32_t limit);
void networks_clear(struct director *director);
/* The number of a client of whom `bits` are known; its rows decide. So many bits of the address led there, of a network
 * or of a map's deeper one, go to `scope_bits` (NULL: not wanted). */
uint32_t networks_number(const struct director *director, const struct address *client,
                         unsigned bits, uint8_t *scope_bits);
/* The client's rows will be looked up soon: fetches what that reads. */
void networks_expect(const struct director *director, const struct address *client);
struct area networks_home(const struct director *director, const struct address *client);
struct lot networks_lot(const struct director *director, uint32_t number);
uint32_t networks_class(const struct director *director, const struct address *client);
/* Gives active networks numbers. `budget` candidates may be evaluated; what was is returned. */
uint32_t networks_sweep(struct director *director, const struct director_facts *facts,
                        uint32_t budget);
/* While this measured network is ranked, what the following ones need comes from memory. */
void networks_ahead(const struct director *director, const struct director_facts *facts,
                    uint32_t number);
/* False: nothing is known of it any more, and the number was freed. */
bool networks_keep(struct director *director, const struct director_facts *facts, uint32_t number);

/* ---- estimate.c */

void estimate_init(struct estimate *estimate, const struct director *director);
void estimate_clear(struct estimate *estimate);
/* `student`: the director whose corrections learn from what is read; NULL: none. */
/* The shortlist of one lot; of use where there are ties. */
void estimate_choose(struct estimate *estimate, const struct lot *lot);
void estimate_make(struct estimate *estimate, const struct director *director,
                   const struct director_facts *facts, const struct area *area,
                   uint32_t area_number, const struct address *network, const struct lot *lot,
                   struct director *student);

/* ---- components.c */

struct channel { /* what a component reads */
    const struct sight *sight;
    uint32_t edge, gateway;          /* DIRECTOR_NONE */
    const struct estimate *estimate; /* NULL: without the client */
};

bool component_is_of_client(enum director_component component);
float component_value(const struct channel *channel, enum director_component component); /* NAN */
float component_penalty(const struct channel *channel, enum director_component component);
struct director_value component_explain(const struct channel *channel,
                                        enum director_component component);
uint32_t channel_gateway(const struct sight *sight, uint32_t edge);
void member_refresh(const struct sight *sight, uint32_t edge, struct member *member);

/* ---- states.c: what answers take edges for; damping, fullness */

/* True: something changed. */
bool states_update(struct director *director, const struct director_facts *facts);
void states_suppose(struct life *life, const struct director_what_if *what_if);
/* Of one group; true: a good member is left. */
bool standings_make(const struct group *group, const struct life *lives,
                    _Atomic uint8_t *standings);
void standings_make_all(struct director *director);

/* ---- spread.c: shares of load, and order among equals */

void spread_update(struct director *director, const struct director_facts *facts,
                   uint64_t elapsed_ns);
/* Puts the next of equal candidates in front, by weight: `*order` picks, and what is left of it picks the next. */
void spread_pick(const struct sight *sight, struct candidate *equal, uint32_t count, double *order,
                 double *weight);
/* Scores up to this are as good as `score`. */
static inline float spread_tier(float score)
{
    return score * 1.05f + 1;
}
static inline float spread_place(const struct edge *edge, const struct lot *lot)
{
    float place = lot->share + edge->turn;
    return place < 1 ? place : place - 1;
}

/* ---- rank.c */

struct ranked {
    uint16_t members[ROW_MEMBERS];
    float scores[ROW_MEMBERS];
    uint16_t incumbent, challenger; /* MEMBER_NONE */
    bool is_moved, is_held_back;
};

void rank_field(const struct sight *sight, const struct estimate *estimate, struct field *field);
/* `field->order`: as `lot` takes them, until `need` of them are usable and open. */
void rank_order(const struct sight *sight, struct field *field, const struct lot *lot,
                uint32_t need);
float rank_margin_ms(const struct director *director, float score);
/* Chooses the row's members; `old` is the present row, `state` may change. */
void rank_row(const struct sight *sight, struct field *field, const struct lot *lot,
              const uint16_t old[ROW_MEMBERS], struct row_state *state, struct ranked *ranked);
struct sight sight_of(const struct director *director, const struct director_facts *facts,
                      uint32_t group);
void estimate_number(struct estimate *estimate, const struct director *director,
                     const struct director_facts *facts, uint32_t number, struct director *student);
void row_load(const struct row *row, uint16_t places[ROW_MEMBERS]);
/* All groups of a number (of an area: of all classes) from `*group` on; returns candidates evaluated, at most `budget` and a group's. */
uint32_t rank_number(struct director *director, const struct director_facts *facts, uint32_t number,
                     uint32_t *group, uint32_t budget);

/* ---- find.c: the edges behind an answer, for explain */

size_t find_edges(const struct sight *sight, unsigned answers, uint32_t number,
                  const uint16_t places[ROW_MEMBERS], uint32_t edges[ROW_MEMBERS]);

/* ---- policy.c: steps */

/* Runs the steps over the candidates that rank_field() gathered. */
void policy_run(const struct sight *sight, const struct estimate *estimate, bool is_filtering,
                struct field *field);
void policy_sort(struct field *field); /* by score; equal ones stay as they are */
bool policy_filter_keeps(const struct director_step *step, float value);

#endif
