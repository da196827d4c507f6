// One HBM2 pseudo channel of the bench: in which memory clock an access starts; docs/engine.md section 9, written
// independently of the simulator. Timing comes in as numbers, so that one build serves every clock and parameter file.
package bench_hbm2;
    class Channel;
        // Timing in memory clocks, names of JESD235.
        longint t_rcd, t_rp, t_ras, t_rrd_s, t_rrd_l, t_faw, t_rtp, t_wr;
        longint t_ccd_s, t_ccd_l, t_cl, t_cwl, t_wtr, t_turn, t_refi, t_rfc;
        longint request, reply;
        // `cycles` engine cycles last as long as `clocks` memory clocks.
        longint cycles, clocks;
        int atom_bits, row_bits, bank_bits, group_bits;

        // What the accesses so far have left behind.
        longint refresh_due, refreshed, column_start, column_end, rows_shut;
        bit     was_write;
        int     column_group;
        longint activate[$];
        int     activate_group;
        bit     open[16];
        longint row[16], opened[16], used[16];
        bit     has_column, has_open_row;
        longint written;  // address of the last write, when the access before was one

        function void reset(int port, int ports, longint seed);
            refresh_due = ((port + 1) * t_refi / (ports + 1) + seed) % t_refi;
            refreshed = 0;
            rows_shut = 0;
            column_start = 0;
            has_column = 0;
            has_open_row = 0;
            was_write = 0;
            activate.delete();
            foreach (open[bank]) open[bank] = 0;
        endfunction

        // The first memory clock in which the controller sees what the port accepted in a cycle.
        function longint seen(longint cycle);
            return (cycle * clocks + cycles - 1) / cycles + request;
        endfunction

        // Whether a memory clock has been reached when a cycle begins.
        function bit reached(longint clock, longint cycle);
            return clock * cycles <= cycle * clocks;
        endfunction

        function void later(inout longint what, input longint than);
            if (than > what) what = than;
        endfunction

        // Moves `ready` to the first clock in which a row may be activated, and counts it.
        function void activated(inout longint ready, input longint apart, input int group);
            if (activate.size() > 0) later(ready, activate[$] + apart);
            if (activate.size() > 3) later(ready, activate[activate.size() - 4] + t_faw);
            if (activate.size() > 3) void'(activate.pop_front());
            activate.push_back(ready);
            activate_group = group;
        endfunction

        // Refreshes before an access whose turn comes in clock `turn`; both times move behind the refresh.
        function void refresh_before(inout longint turn, inout longint prepare, input bit is_closed_page);
            longint shut;
            bit     any;
            while (refresh_due <= turn) begin
                shut = refresh_due;
                any = 0;
                has_open_row = 0;
                if (is_closed_page) later(shut, rows_shut);
                else foreach (open[bank]) if (open[bank]) begin
                    any = 1;
                    later(shut, opened[bank] + t_ras);
                    later(shut, used[bank] + t_rtp);
                    open[bank] = 0;
                end
                if (any) shut += t_rp;
                later(shut, refreshed);
                refreshed = shut + t_rfc;
                refresh_due += t_refi;
                later(turn, refreshed);
                later(prepare, refreshed);
            end
        endfunction

        // Open pages: reads `atoms` atoms from byte `address` on, all in one page; returns the clock of the first command.
        function longint read(longint visible, longint address, int atoms);
            longint turn = visible, prepare = visible, ready, page, first = address >> atom_bits;
            longint page_row;
            int     group, bank, near_group;
            if (has_column) begin
                later(turn, column_end + t_ccd_s);
                later(prepare, column_start);
            end
            later(turn, refreshed);
            later(prepare, refreshed);
            refresh_before(turn, prepare, 0);
            page = address >> (row_bits + 1);
            page_row = page >> (bank_bits + group_bits - 1);
            for (int half = 0; half < 2 && half < atoms; half++) begin
                group = int'((page >> bank_bits) % (64'd1 << (group_bits - 1))) * 2 + int'((first + 64'(half)) % 2);
                if (half == 0) near_group = group;
                bank = group * (1 << bank_bits) + int'(page % (64'd1 << bank_bits));
                if (!open[bank] || row[bank] != page_row) begin
                    ready = prepare;
                    if (open[bank]) begin
                        later(ready, opened[bank] + t_ras);
                        later(ready, used[bank] + t_rtp);
                        ready += t_rp;
                    end
                    activated(ready, activate_group == group ? t_rrd_l : t_rrd_s, group);
                    open[bank] = 1;
                    row[bank] = page_row;
                    opened[bank] = ready;
                    used[bank] = ready;
                end
                later(turn, opened[bank] + t_rcd - (half == 1 ? t_ccd_s : 0));
            end
            if (has_column && column_group == near_group) later(turn, column_end + t_ccd_l);
            has_column = 1;
            column_start = turn;
            column_end = turn + 64'(atoms - 1) * t_ccd_s;
            column_group = (near_group / 2) * 2 + int'((first + 64'(atoms) - 1) % 2);
            for (int half = 0; half < 2 && half < atoms; half++) begin
                group = (near_group / 2) * 2 + int'((first + 64'(half)) % 2);
                used[group * (1 << bank_bits) + int'(page % (64'd1 << bank_bits))] = column_end;
            end
            return column_start;
        endfunction

        // Any access opens rows of its own, but for a write that goes on in a line of side memory; returns the clock of the
        // first command.
        function longint access(longint visible, int atoms, bit is_write, bit is_side_memory, longint address);
            longint turn = visible, prepare = visible, ready, shut;
            if (!is_side_memory || address != written + 16 || (address >> (row_bits + 1)) != (written >> (row_bits + 1)))
                has_open_row = 0;
            if (has_column) begin
                if (has_open_row) later(turn, column_end + t_ccd_l);
                else if (is_write == was_write) later(turn, column_end + t_ccd_s);
                else if (is_write) later(turn, column_end + t_cl + t_ccd_s + t_turn - t_cwl);
                else later(turn, column_end + t_cwl + t_ccd_s + t_wtr);
                later(prepare, column_start);
            end
            later(turn, refreshed);
            later(prepare, refreshed);
            refresh_before(turn, prepare, 1);
            if (has_open_row) ready = activate[$];
            else for (int half = 0; half < 2 && half < atoms; half++) begin
                ready = prepare;
                activated(ready, t_rrd_s, 0);
                later(turn, ready + t_rcd - (half == 1 ? t_ccd_s : 0));
            end
            has_column = 1;
            was_write = is_write;
            has_open_row = is_side_memory;
            written = address;
            column_start = turn;
            column_end = turn + 64'(atoms - 1) * t_ccd_s;
            shut = is_write ? column_end + t_cwl + t_ccd_s + t_wr : column_end + t_rtp;
            later(shut, ready + t_ras);
            later(rows_shut, shut + t_rp);
            return column_start;
        endfunction
    endclass
endpackage
