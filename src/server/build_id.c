/* See build_id.h.  The note is in a segment of the program's own that is loaded. */
#include "server/build_id.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

enum { NOTE_ALIGNMENT = 4, ID_SHOWN = 8 };

static size_t aligned(size_t size)
{
    return (size + NOTE_ALIGNMENT - 1) / NOTE_ALIGNMENT * NOTE_ALIGNMENT;
}

static uint64_t first_bytes(const unsigned char *id)
{
    uint64_t number = 0;
    for (int i = 0; i < ID_SHOWN; i++)
        number = number << 8 | id[i];
    return number;
}

/* Of the notes in one segment; 0: it is not among them. */
static uint64_t find_among(const unsigned char *at, size_t size)
{
    ElfW(Nhdr) note;
    while (size >= sizeof note) {
        memcpy(&note, at, sizeof note);
        size_t name = aligned(note.n_namesz), whole = sizeof note + name + aligned(note.n_descsz);
        if (whole > size)
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz >= ID_SHOWN &&
            note.n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp(at + sizeof note, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0)
            return first_bytes(at + sizeof note + name);
        at += whole;
        size -= whole;
    }
    return 0;
}

/* The program comes before the libraries: the first is the last that is asked. */
static int find_in_program(struct dl_phdr_info *object, size_t size, void *context)
{
    uint64_t *found = context;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum && *found == 0; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t at = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_NOTE)
            *found = find_among((const unsigned char *)at, segment->p_memsz);
    }
    return 1;
}

uint64_t server_build_id(void)
{
    uint64_t found = 0;
    dl_iterate_phdr(find_in_program, &found);
    return found;
}
