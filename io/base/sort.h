/* sort.h - numbers in ascending order, and finding one. Heapsort: qsort may allocate. */
#ifndef GY_SORT_H
#define GY_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void
gy_sort_sift(uint64_t *numbers, size_t at, size_t count)
{
    const uint64_t moving = numbers[at];

    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && numbers[child] < numbers[child + 1]) {
            child++;
        }
        if (moving >= numbers[child]) {
            break;
        }
        numbers[at] = numbers[child];
        at = child;
    }
    numbers[at] = moving;
}

static inline void
gy_sort_u64(uint64_t *numbers, size_t count)
{
    for (size_t i = count / 2; i > 0; i--) {
        gy_sort_sift(numbers, i - 1, count);
    }
    for (size_t end = count; end > 1; end--) {
        const uint64_t largest = numbers[0];

        numbers[0] = numbers[end - 1];
        numbers[end - 1] = largest;
        gy_sort_sift(numbers, 0, end - 1);
    }
}

static inline bool
gy_sorted_has(const uint64_t *sorted, size_t count, uint64_t number)
{
    size_t low = 0;

    while (low < count) {
        const size_t middle = low + (count - low) / 2;

        if (sorted[middle] == number) {
            return true;
        }
        if (sorted[middle] < number) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return false;
}

#endif
